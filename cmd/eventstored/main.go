// Command eventstored serves the events of a store over the eventstore.v1 protocol,
// and has the tools to look into one.
//
//	eventstored                          serve a file, events.db, on 127.0.0.1:50051
//	eventstored serve -store URL …       serve another store; -h says what else there is
//	eventstored healthcheck              exit with 0 if the server answers and serves
//
//	eventstored read Account/acc-1       print a stream, an event a line, as JSON
//	eventstored tail -f                  print the last events of all streams, and each new one
//	eventstored append Account/acc-1     append the events that standard input has, a line each
//	eventstored streams                  print a line for each stream
//	eventstored stats                    print how much there is of what
//	eventstored export > FILE            print all events, oldest first
//	eventstored import < FILE            append what export printed
//
// The tools work on a store that -store URL names: sqlite:FILE, postgres://…, or
// a running server, grpc://HOST:PORT. With -tenant they see another tenant's.
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

// defaultStore is the store of one who has not said which.
const defaultStore = "sqlite:events.db"

// env is what a command has of the process.
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
	case errors.Is(err, flag.ErrHelp), errors.Is(err, syscall.EPIPE): // head(1) has seen enough
	case errors.Is(err, errUsage), errors.Is(err, open.ErrURL):
		fmt.Fprintln(os.Stderr, "eventstored:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "eventstored:", err)
		os.Exit(1)
	}
}

// commands returns what run does for each name.
func commands() map[string]func(context.Context, []string, env) error {
	return map[string]func(context.Context, []string, env) error{
		"serve":       serve,
		"healthcheck": healthcheck,
		"read":        read,
		"tail":        tail,
		"append":      appendEvents,
		"streams":     streams,
		"stats":       stats,
		"export":      export,
		"import":      importEvents,
	}
}

// run is main on the given arguments.
func run(ctx context.Context, args []string, e env) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && !isHelp(args[0]) {
		args = append([]string{"serve"}, args...)
	}
	if isHelp(args[0]) {
		fmt.Fprint(e.stdout, help)
		return nil
	}
	command, ok := commands()[args[0]]
	if !ok {
		return fmt.Errorf("%w: there is no command %q: eventstored help says which there are", errUsage, args[0])
	}
	return command(ctx, args[1:], e)
}

func isHelp(arg string) bool {
	return slices.Contains([]string{"help", "-h", "-help", "--help"}, arg)
}

// help is what help prints.
const help = `usage: eventstored COMMAND [FLAGS]

  serve                serve the events of a store over eventstore.v1 (the default)
  healthcheck          exit with 0 if a server answers and serves

  read TYPE/ID         print a stream, an event a line, as JSON
  tail [-f]            print the last events of all streams; -f: and each new one
  append TYPE/ID       append the events that standard input has, a line each
  streams              print a line for each stream
  stats                print how much there is of what
  export               print all events, oldest first
  import               append what export printed

eventstored COMMAND -h says more.
`

// flags returns the flags of the command called name, whose operands are those
// that usage names.
func flags(e env, name, usage string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // main says what is wrong
	f.Usage = func() {
		f.SetOutput(e.stderr)
		fmt.Fprintf(e.stderr, "usage: eventstored %s [FLAGS] %s\n\n", name, usage)
		f.PrintDefaults()
	}
	return f
}

// parseFlags parses args and returns what is no flag, which are to be as many as
// operands. They may stand before flags.
func parseFlags(f *flag.FlagSet, args []string, operands int) ([]string, error) {
	var got []string
	for {
		switch err := f.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("%w: %s: %w", errUsage, f.Name(), err)
		}
		if f.NArg() == 0 {
			break
		}
		got, args = append(got, f.Arg(0)), f.Args()[1:]
	}
	if len(got) != operands {
		return nil, fmt.Errorf("%w: %s takes %d arguments, not %q", errUsage, f.Name(), operands, got)
	}
	return got, nil
}

// source is the flags that say where the events are.
type source struct{ url, tenant string }

func (s *source) add(f *flag.FlagSet) {
	f.StringVar(&s.url, "store", defaultStore, "the store, at `URL`")
	f.StringVar(&s.tenant, "tenant", "", "the tenant, `ID`, in place of that of the URL")
}

// with calls use with the store.
func (s *source) with(ctx context.Context, use func(open.Backend) error) error {
	st, err := open.Store(ctx, s.url)
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

// asBackend returns st with all that every store has that can be opened.
func asBackend(st store.Store) (open.Backend, error) {
	backend, ok := st.(open.Backend)
	if !ok {
		return nil, fmt.Errorf("eventstored: a %T has no log", st)
	}
	return backend, nil
}
