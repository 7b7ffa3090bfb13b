// Command bank runs a bank on evolve: accounts as deciders, transfers between them as a
// process, statements as a projection, events in a store.
//
//	go run ./examples/bank                 run a demonstration
//	go run ./examples/bank FILE            process a file of commands; - is standard input
//	go run ./examples/bank < FILE          the same
//	go run ./examples/bank -store URL …    keep the events in a store, such as sqlite:bank.db; the default is memory:
//	go run ./examples/bank -patience 5m …  how long a transfer waits for its account to be opened before it is refunded
//
// A file has one command per line, as a JSON object:
//
//	{"at":"2026-03-02T09:00:01Z","id":"c-1","account":"acc-1","command":"open","owner":"Ann"}
//	{"at":"2026-03-02T09:00:02Z","id":"c-2","account":"acc-1","command":"deposit","cents":1250}
//	{"at":"2026-03-02T09:00:03Z","id":"c-3","account":"acc-1","command":"withdraw","cents":250}
//	{"at":"2026-03-02T09:00:04Z","id":"c-4","account":"acc-1","command":"transfer","to":"acc-2","cents":100}
//	{"at":"2026-03-02T09:00:05Z","id":"c-5","account":"acc-1","command":"close"}
//
// A command takes effect once, however often its account gets its id. A line that cannot
// be parsed is reported with its number and skipped. The totals count it, and the exit
// status is still 0.
package main

//go:generate sh -c "go run ./internal/daygen > testdata/day.jsonl"

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/evolvego/evolve/store/open"
)

// errUsage is a mistake on the command line.
var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bank:", err)
		os.Exit(1)
	}
}

// run is main on the given arguments and files.
func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bank", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error
	flags.Usage = func() {
		flags.SetOutput(stderr)
		fmt.Fprint(stderr, "usage: bank [-store URL] [-patience D] [FILE]\n\n"+
			"Without FILE and standard input, bank runs a demonstration.\n"+
			"FILE has one command per line, as a JSON object; - is standard input.\n\n")
		flags.PrintDefaults()
	}
	url := flags.String("store", "memory:", "keep the events in the store at `URL`: memory: (lost at the end), sqlite:FILE, postgres://…, nats://… or grpc://…")
	patience := flags.Duration("patience", 0, "retry a transfer to an account that is not open for `D`, such as 5m, before it is refunded")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errUsage, err)
	case flags.NArg() > 1:
		return fmt.Errorf("%w: one file at most, not %q", errUsage, flags.Args())
	}
	if *patience < 0 {
		return fmt.Errorf("%w: -patience must not be negative", errUsage)
	}
	st, err := open.Store(ctx, *url)
	if errors.Is(err, open.ErrURL) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err != nil {
		return err
	}
	b := newBank(st)
	b.patience = *patience
	return errors.Join(work(ctx, b, flags.Arg(0), stdin, stdout, stderr), st.Close())
}

// work processes the commands, or shows the demo if there are none.
func work(ctx context.Context, b *bank, name string, stdin *os.File, stdout, stderr io.Writer) error {
	input, err := openInput(name, stdin)
	if err != nil {
		return err
	}
	if input == nil {
		return demo(ctx, b, stdout, stderr)
	}
	defer input.Close()
	return batch(ctx, b, input, stdout, stderr)
}

// openInput returns the commands to process: those in the file called name, or on
// standard input if name is "-", or if name is empty and standard input is a file or a
// pipe with content. Otherwise it returns nil.
func openInput(name string, stdin *os.File) (io.ReadCloser, error) {
	switch name {
	case "-":
		return io.NopCloser(stdin), nil
	case "":
		return piped(stdin), nil
	}
	return os.Open(name) //nolint:gosec // the user says which file
}
