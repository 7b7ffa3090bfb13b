// Command eventstored serves the events of a store over the eventstore.v1 protocol, and
// inspects a store.
//
//	eventstored                          serve the file events.db on 127.0.0.1:50051
//	eventstored serve -store URL …       serve another store; -h lists the flags
//	eventstored check -store URL …       check the settings of serve, and serve nothing
//	eventstored healthcheck              exit with 0 if a server is up and serving
//	eventstored console                  serve a page that shows a store, to this machine only
//	eventstored hash-token NAME TENANTS  print the line of a -tokens file for a token
//	eventstored dashboard [program]      print a dashboard for Grafana
//	eventstored rules                    print alerts for Prometheus
//
//	eventstored read Account/acc-1       print a stream, one JSON object per event
//	eventstored tail -f                  print the last events of the log, then new ones
//	eventstored append Account/acc-1     append the events on standard input
//	eventstored streams                  list the streams
//	eventstored find ID                  print the event with this id
//	eventstored stats                    count events, streams and types
//	eventstored export > FILE            print all events, oldest first
//	eventstored import < FILE            append what export printed
//
//	eventstored checkpoints              list the checkpoints of consumers, or move one back
//	eventstored projections              list projections and parked keys, or retire one
//	eventstored processes                list processes and waiting instances, or release one
//
// The tools work on the store at -store URL: sqlite:FILE, postgres://…, nats://…, or a running
// server, grpc://HOST:PORT. With -tenant they use another tenant's. Those that only read
// open the store read-only, and create nothing.
//
// # Traces
//
// If OTEL_EXPORTER_OTLP_ENDPOINT is set, the server sends its spans there, with OTLP over
// gRPC: one for each call, as a child of the client's span, and one for each operation of
// the store. The other standard variables of OpenTelemetry also apply, such as
// OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME and OTEL_SDK_DISABLED. If the collector is
// unavailable, the server drops the spans.
//
// # Signals
//
// On SIGTERM and SIGINT the server drains: it ends subscriptions with a status that lets
// them resume elsewhere, gives calls in progress ten seconds, and exits. On SIGHUP it reads
// its tokens and certificates again and keeps serving. It does the same by itself within
// ten seconds of a change to one of these files. If a file cannot be read, the server logs
// that and keeps using what it read before.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// errUsage is a mistake on the command line or in a setting.
var errUsage = errors.New("usage")

// defaultStore is the default store.
const defaultStore = "sqlite:events.db"

// env is the environment of a command: its streams, variables and signals.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], env{os.Stdin, os.Stdout, os.Stderr, os.Getenv})
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp), errors.Is(err, syscall.EPIPE): // head(1) has enough
	case errors.Is(err, errUsage), errors.Is(err, open.ErrURL):
		fmt.Fprintln(os.Stderr, "eventstored:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "eventstored:", err)
		os.Exit(1)
	}
}

// command is a command of the program.
type command struct {
	name, operands string
	help           string // one line
	run            func(context.Context, []string, env) error
}

// commands returns the commands, in groups.
func commands() [][]command {
	return [][]command{
		{
			{"serve", "", "serve a store over eventstore.v1 (the default)", serve},
			{"check", "", "check the settings of serve, and serve nothing", check},
			{"healthcheck", "", "exit with 0 if a server is up and serving", healthcheck},
			{"console", "", "serve a page that shows a store, to this machine only", consoleCommand},
			{"hash-token", "NAME TENANTS", "print the line of a -tokens file for the token on standard input", hashToken},
			{"dashboard", "[server|program]", "print a dashboard for Grafana: of the server, or of a program with decider/otelevolve", dashboard},
			{"rules", "", "print alerts for Prometheus; docs/operate.md says what each means", rules},
			{"version", "", "print the version", version},
		},
		{
			{"read", "TYPE/ID", "print a stream, one JSON object per event", read},
			{"tail", "", "print the last events of the log; with -f also new ones as they come", tail},
			{"append", "TYPE/ID", "append the events on standard input, one JSON object per line", appendEvents},
			{"streams", "", "list the streams", streams},
			{"find", "ID", "print the event with this id", findEvent},
			{"stats", "", "count events, streams and types", stats},
			{"export", "", "print all events, oldest first", export},
			{"import", "", "append what export printed", importEvents},
		},
		{
			{"checkpoints", "[NAME]", "list the checkpoints of consumers, or move one back", checkpoints},
			{"projections", "[NAME@VERSION]", "list projections, or the parked keys of one, or retire one", projections},
			{"processes", "[NAME@VERSION]", "list processes, or the waiting instances of one, or release or abandon one of these", processes},
		},
	}
}

// find returns the command called name.
func find(name string) (command, bool) {
	for _, group := range commands() {
		if i := slices.IndexFunc(group, func(c command) bool { return c.name == name }); i >= 0 {
			return group[i], true
		}
	}
	return command{}, false
}

// run is main with the given arguments.
func run(ctx context.Context, args []string, e env) error {
	if len(args) > 0 && isHelp(args[0]) {
		if c, ok := find(strings.Join(args[1:], " ")); ok {
			return c.run(ctx, []string{"-h"}, e)
		}
		printHelp(e.stdout)
		return nil
	}
	if len(args) == 1 && (args[0] == "-version" || args[0] == "--version") {
		args = []string{"version"}
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		args = append([]string{"serve"}, args...)
	}
	c, ok := find(args[0])
	if !ok {
		return fmt.Errorf("%w: unknown command %s: run eventstored help for a list", errUsage, shown(args[0]))
	}
	return c.run(ctx, args[1:], e)
}

func isHelp(arg string) bool {
	return slices.Contains([]string{"help", "-h", "-help", "--help"}, arg)
}

// printHelp prints the output of help.
func printHelp(w io.Writer) {
	fmt.Fprint(w, "Eventstored serves the events of a store over eventstore.v1, and inspects a store.\n\n"+
		"Usage:\n\n  eventstored [serve] [flags]\n  eventstored COMMAND [flags] [arguments]\n\nCommands:\n")
	for _, group := range commands() {
		fmt.Fprintln(w)
		for _, c := range group {
			fmt.Fprintf(w, "  %-26s %s\n", strings.TrimSpace(c.name+" "+c.operands), c.help)
		}
	}
	fmt.Fprint(w, "\nRun \"eventstored COMMAND -h\" for the flags of a command.\n")
}

// flags returns the flags of the command called name.
func flags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // main reports errors
	f.Usage = func() {}
	return f
}

// printUsage prints the output of -h.
func printUsage(w io.Writer, f *flag.FlagSet) {
	c, _ := find(f.Name())
	fmt.Fprintf(w, "Usage: eventstored %s\n\n%s%s.\n\nFlags:\n", strings.TrimSpace(c.name+" [flags] "+c.operands), strings.ToUpper(c.help[:1]), c.help[1:])
	f.SetOutput(w)
	f.PrintDefaults()
}

// parseFlags parses args and returns the operands, whose number must be between least
// and most. They may come before flags. With -h it prints the usage, and returns
// [flag.ErrHelp].
func parseFlags(e env, f *flag.FlagSet, args []string, least, most int) ([]string, error) {
	var got []string
	rest := args
	for {
		switch err := f.Parse(rest); {
		case errors.Is(err, flag.ErrHelp):
			printUsage(e.stdout, f)
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %s: %s", errUsage, f.Name(), withoutURLs(err.Error(), args))
		}
		if f.NArg() == 0 {
			break
		}
		got, rest = append(got, f.Arg(0)), f.Args()[1:]
	}
	if len(got) < least || len(got) > most {
		c, _ := find(f.Name())
		list := make([]string, len(got))
		for i, arg := range got {
			list[i] = shown(arg)
		}
		return nil, fmt.Errorf("%w: the arguments of %s are %q, not %s", errUsage, f.Name(), c.operands, "["+strings.Join(list, " ")+"]")
	}
	return got, nil
}

// mayBeURL reports whether arg may be or contain the URL of a store, which can have a
// password.
func mayBeURL(arg string) bool { return strings.ContainsAny(arg, ":@=") }

// shown returns arg as an error message may show it.
func shown(arg string) string {
	if mayBeURL(arg) {
		return open.Redacted(arg)
	}
	return fmt.Sprintf("%q", arg)
}

// withoutURLs returns text, an error about args, without anything that may be a URL.
func withoutURLs(text string, args []string) string {
	for _, arg := range args {
		if !mayBeURL(arg) {
			continue
		}
		values := []string{arg}
		if _, value, found := strings.Cut(arg, "="); found && strings.HasPrefix(arg, "-") {
			values = []string{value}
		}
		for _, value := range values {
			if mayBeURL(value) {
				text = strings.ReplaceAll(text, fmt.Sprintf("%q", value), open.Redacted(value))
				text = strings.ReplaceAll(text, value, open.Redacted(value))
			}
		}
	}
	return text
}

// source holds the flags that select the store.
type source struct{ url, tenant string }

func (s *source) add(f *flag.FlagSet) {
	f.StringVar(&s.url, "store", defaultStore, "the `URL` of the store: sqlite:FILE, postgres://…, nats://… or grpc://HOST:PORT")
	f.StringVar(&s.tenant, "tenant", "", "the `ID` of the tenant; overrides that of the URL")
}

// reading calls use with the store, opened read-only.
func (s *source) reading(ctx context.Context, use func(open.Backend) error) error {
	return s.with(ctx, open.ReadOnly, use)
}

// writing calls use with the store, which it creates if it does not exist.
func (s *source) writing(ctx context.Context, use func(open.Backend) error) error {
	return s.with(ctx, open.Store, use)
}

func (s *source) with(ctx context.Context, opened func(context.Context, string) (open.Backend, error), use func(open.Backend) error) error {
	if s.tenant != "" {
		if err := store.ValidateTenant(s.tenant); err != nil {
			return fmt.Errorf("%w: -tenant: %w", errUsage, err)
		}
	}
	st, err := opened(ctx, s.url)
	if err != nil {
		return err
	}
	of := st
	if s.tenant != "" {
		var view store.Store
		if view, err = st.Tenant(s.tenant); err == nil {
			of, err = asBackend(view)
		}
	}
	if err == nil {
		err = use(of)
	}
	return errors.Join(err, st.Close())
}

// asBackend returns st with the methods that every store of package open has.
func asBackend(st store.Store) (open.Backend, error) {
	backend, ok := st.(open.Backend)
	if !ok {
		return nil, fmt.Errorf("eventstored: a %T has no log", st)
	}
	return backend, nil
}
