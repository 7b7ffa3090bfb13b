package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// tally counts the outcomes of the lines of a file.
type tally struct {
	commands map[string]outcomes // by command
	reasons  map[string]int      // of rejected commands
	bad      int                 // skipped lines
}

// outcomes counts the outcomes of commands.
type outcomes struct{ accepted, replayed, rejected int }

// plus returns the sum of o and p.
func (o outcomes) plus(p outcomes) outcomes {
	return outcomes{o.accepted + p.accepted, o.replayed + p.replayed, o.rejected + p.rejected}
}

// all returns the number of commands.
func (o outcomes) all() int { return o.accepted + o.replayed + o.rejected }

// batch processes the commands in input, one after the other. Each sees the effects of
// all earlier ones, including transfers. Then it prints statements and totals.
func batch(ctx context.Context, b *bank, input io.Reader, stdout, stderr io.Writer) error {
	began := time.Now()
	n := tally{commands: map[string]outcomes{}, reasons: map[string]int{}}
	err := withCourier(ctx, b, func(c *courier) error {
		progress := newProgress(stderr)
		defer progress.end()
		if err := progress.watch("transfers", c.position, func() error { return c.settle(ctx) }); err != nil {
			return err
		}
		return lines(input, func(number int, line []byte) error {
			progress.at(number)
			r, err := parseLine(line)
			if err != nil {
				n.bad++
				progress.end()
				fmt.Fprintf(stderr, "bank: line %d: %v: skipped\n", number, err)
				return nil
			}
			if err := n.process(ctx, b, c, r); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	all, err := b.statements(ctx, newProgress(stderr))
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout) // it keeps the first error for Flush
	printStatements(out, all)
	n.print(out, all, took)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write the statements: %w", err)
	}
	return nil
}

// withCourier calls use while a courier runs, and waits until all transfers are settled.
func withCourier(ctx context.Context, b *bank, use func(*courier) error) error {
	return newCourier(b).during(ctx, use)
}

// during calls use while c runs, and waits until all transfers are settled.
func (c *courier) during(ctx context.Context, use func(*courier) error) error {
	ctx, stop := context.WithCancel(ctx)
	go c.run(ctx)
	err := use(c)
	if err == nil {
		err = c.settle(ctx)
	}
	stop()
	<-c.stopped
	return err
}

func parseLine(line []byte) (request, error) {
	if line == nil {
		return request{}, errTooLong
	}
	return parse(line)
}

// process runs the command of r and counts its outcome.
func (n *tally) process(ctx context.Context, b *bank, c *courier, r request) error {
	cmd, err := r.command()
	if err != nil {
		return err
	}
	meta := store.Metadata{CorrelationID: r.ID, Headers: map[string]string{"at": r.At.Format(time.RFC3339)}}
	out, err := b.accounts.Handle(ctx, r.Account, cmd, runner.CommandID("request/"+r.ID), runner.Metadata(meta))
	switch {
	case errors.Is(err, runner.ErrRejected):
		n.reasons[reason(err)]++
		n.add(r, outcomes{rejected: 1})
		return nil
	case err != nil:
		return err
	case out.Replayed:
		n.add(r, outcomes{replayed: 1})
		return nil
	}
	n.add(r, outcomes{accepted: 1})
	if _, ok := cmd.(account.Send); ok {
		return c.settle(ctx)
	}
	return nil
}

// add counts the outcome of r.
func (n *tally) add(r request, o outcomes) { n.commands[r.Command] = n.commands[r.Command].plus(o) }

// reason returns why a command was rejected, without its details.
func reason(err error) string {
	if errors.Is(err, account.ErrInsufficientFunds) {
		err = account.ErrInsufficientFunds
	}
	return err.Error()
}

// print writes the totals.
func (n *tally) print(w io.Writer, all map[string]statement, took time.Duration) {
	declined, delivered := 0, 0
	for _, s := range all {
		declined += s.Declined
		delivered += s.Delivered
	}
	total := n.printCommands(w)
	fmt.Fprintln(w)
	count(w, "commands", total.all())
	count(w, "  accepted", total.accepted)
	count(w, "  replayed", total.replayed)
	count(w, "  rejected", total.rejected)
	byCount := func(a, b string) int { return cmp.Or(cmp.Compare(n.reasons[b], n.reasons[a]), cmp.Compare(a, b)) }
	for _, why := range slices.SortedFunc(maps.Keys(n.reasons), byCount) {
		count(w, "    "+why, n.reasons[why])
	}
	count(w, "transfers", delivered+declined)
	count(w, "  delivered", delivered)
	count(w, "  refunded", declined)
	count(w, "bad lines", n.bad)
	fmt.Fprintf(w, "\n%d commands in %v, %.0f/s\n", total.all(), took.Round(time.Millisecond), float64(total.all())/took.Seconds())
}

// printCommands writes the outcomes of each command, and returns the sum.
func (n *tally) printCommands(w io.Writer) outcomes {
	const line = "%-10s %9v %9v %9v\n"
	var total outcomes
	fmt.Fprintf(w, "\n"+line, "command", "accepted", "replayed", "rejected")
	for _, command := range []string{"open", "deposit", "withdraw", "transfer", "close"} {
		o := n.commands[command]
		fmt.Fprintf(w, line, command, o.accepted, o.replayed, o.rejected)
		total = total.plus(o)
	}
	return total
}

func count(w io.Writer, what string, n int) {
	fmt.Fprintf(w, "%-44s %7d\n", what, n)
}
