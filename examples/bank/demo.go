package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
)

// demo shows the bank at work.
func demo(ctx context.Context, b *bank, w, progress io.Writer) error {
	out := &sticky{w: w}
	d := &show{bank: b, w: out, progress: progress}
	for _, part := range []func(context.Context) error{d.commands, d.transfers, d.rush, d.history, d.throughput} {
		if err := part(ctx); err != nil {
			return err
		}
		if out.err != nil {
			return fmt.Errorf("write the demo: %w", out.err)
		}
	}
	return nil
}

// sticky is a writer that keeps its first error, and writes nothing more.
type sticky struct {
	w   io.Writer
	err error
}

// Write writes p, unless an earlier write has failed.
func (s *sticky) Write(p []byte) (n int, err error) {
	if s.err == nil {
		n, s.err = s.w.Write(p)
	}
	return n, s.err
}

// show is a demo in progress.
type show struct {
	bank     *bank
	w        io.Writer
	progress io.Writer
}

// title prints the title of a part.
func (d *show) title(text string) {
	fmt.Fprintf(d.w, "\n%s\n%s\n", text, strings.Repeat("─", len([]rune(text))))
}

// do runs a command and prints its outcome.
func (d *show) do(ctx context.Context, id string, cmd account.Command, opts ...runner.Option) error {
	out, err := d.bank.accounts.Handle(ctx, id, cmd, opts...)
	if err != nil && !errors.Is(err, runner.ErrRejected) && !errors.Is(err, store.ErrConflict) {
		return err
	}
	fmt.Fprintf(d.w, "%-6s %-44s ", id, name(cmd))
	switch {
	case err != nil:
		fmt.Fprintf(d.w, "✗ %v\n", err)
	case out.Replayed:
		fmt.Fprintf(d.w, "= replayed: %s  version %d\n", names(out.Events), out.Version)
	default:
		fmt.Fprintf(d.w, "→ %s  version %d, balance %s\n", names(out.Events), out.Version, account.Money(out.State.Balance))
	}
	return nil
}

func (d *show) commands(ctx context.Context) error {
	d.title("Commands become events, or are rejected")
	for _, step := range []struct {
		id  string
		cmd account.Command
	}{
		{"ann", account.Open{Owner: "Ann"}},
		{"ann", account.Deposit{Cents: 100_00}},
		{"ann", account.Withdraw{Cents: 30_00}},
		{"ann", account.Withdraw{Cents: 75_00}},
		{"ann", account.Deposit{Cents: -5_00}},
		{"ann", account.Open{Owner: "Ann again"}},
		{"ann", account.Close{}},
		{"bob", account.Deposit{Cents: 5_00}},
		{"bob", account.Open{Owner: "Bob"}},
	} {
		if err := d.do(ctx, step.id, step.cmd); err != nil {
			return err
		}
	}
	fmt.Fprintln(d.w, "\nThe same command twice, with one id, takes effect once:")
	for range 2 {
		if err := d.do(ctx, "bob", account.Deposit{Cents: 1_00}, runner.CommandID("coin-1")); err != nil {
			return err
		}
	}
	fmt.Fprintln(d.w, "\nA command that names a version changes that version or nothing:")
	return d.do(ctx, "bob", account.Deposit{Cents: 1_00}, runner.ExpectVersion(1))
}

func (d *show) transfers(ctx context.Context) error {
	d.title("Transfers are a process: events in, commands out")
	from, err := d.bank.store.Head(ctx)
	if err != nil {
		return err
	}
	err = withCourier(ctx, d.bank, func(c *courier) error {
		for _, send := range []account.Send{
			{Transfer: once("rent", from), From: "ann", To: "bob", Cents: 40_00},
			{Transfer: once("gift", from), From: "ann", To: "nobody", Cents: 10_00},
		} {
			if err := d.do(ctx, "ann", send); err != nil {
				return err
			}
			if err := c.settle(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := d.patience(ctx, once("start", from)); err != nil {
		return err
	}
	fmt.Fprintln(d.w, "\nWhat the process did:")
	return d.bank.log(ctx, func(r recorded) {
		if r.Position > from {
			fmt.Fprintf(d.w, "%4d  %-6s %s\n", r.Position, r.Account, name(r.Event))
		}
	})
}

// firstHead is the position of the log when the first demo on a store comes to transfers.
const firstHead = 5

// once returns an id for a transfer that no earlier demo on this store has used, because
// the ids of transfers are permanent.
func once(id string, head uint64) string {
	if head == firstHead {
		return id
	}
	return fmt.Sprintf("%s-%d", id, head)
}

// patience shows timers: a transfer waits until its account is opened.
func (d *show) patience(ctx context.Context, start string) error {
	fmt.Fprintln(d.w, "\nWith patience, a transfer waits for its account to be opened:")
	patient := *d.bank
	patient.patience = 2 * time.Second
	head, err := d.bank.store.Head(ctx)
	if err != nil {
		return err
	}
	return withCourier(ctx, &patient, func(c *courier) error {
		if err := d.do(ctx, "ann", account.Send{Transfer: start, From: "ann", To: "eve", Cents: 5_00}); err != nil {
			return err
		}
		if err := c.settle(ctx); err != nil {
			return err
		}
		ann, err := d.bank.accounts.Load(ctx, "ann")
		if err != nil {
			return err
		}
		if _, waits := ann.State.Underway[start]; !waits {
			return nil // an earlier demo has opened it
		}
		if err := d.do(ctx, "eve", account.Open{Owner: "Eve"}); err != nil {
			return err
		}
		return d.bank.until(ctx, head, func(r recorded) bool {
			delivered, ok := r.Event.(account.Delivered)
			refunded, back := r.Event.(account.Refunded)
			return ok && delivered.Transfer == start || back && refunded.Transfer == start
		})
	})
}

// tellers is how many tellers work at once in the rush.
const tellers = 8

func (d *show) rush(ctx context.Context) error {
	d.title(fmt.Sprintf("%d tellers, one account", tellers))
	const each = 50
	for _, cmd := range []account.Command{account.Open{Owner: "Rush"}, account.Deposit{Cents: 1_00}} {
		if err := d.do(ctx, "rush", cmd); err != nil {
			return err
		}
	}
	// Another teller has cached an older state of the account. The append is refused, and
	// the command is decided again on the current state.
	other := d.bank.uncached.WithCache(runner.Cache[account.State]{Shared: true})
	if _, err := other.Load(ctx, "rush"); err != nil {
		return err
	}
	if err := d.do(ctx, "rush", account.Deposit{Cents: 2_00}); err != nil {
		return err
	}
	out, err := other.Handle(ctx, "rush", account.Withdraw{Cents: 50}, runner.AnyCached())
	if err != nil {
		return err
	}
	fmt.Fprintf(d.w, "%-6s %-44s → %s  version %d, balance %s, at attempt %d\n", "rush", "Withdraw 0.50, by a teller with an old state",
		names(out.Events), out.Version, account.Money(out.State.Balance), out.Attempts)

	var conflicts atomic.Int64
	crowd := d.bank.uncached.WithObserver(counter{&conflicts}).WithRetry(runner.Retry{Attempts: 1000})
	var group sync.WaitGroup
	errs := make(chan error, tellers)
	for range tellers {
		group.Go(func() {
			for range each {
				if _, err := crowd.Handle(ctx, "rush", account.Deposit{Cents: 1}); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return err
	}
	loaded, err := d.bank.accounts.Load(ctx, "rush")
	if err != nil {
		return err
	}
	fmt.Fprintf(d.w, "%d deposits of a cent at once: %d conflicts, each decided again; balance %s, nothing lost\n",
		tellers*each, conflicts.Load(), account.Money(loaded.State.Balance))
	return nil
}

// counter counts conflicts.
type counter struct{ conflicts *atomic.Int64 }

// Observe counts n if it is a conflict.
func (c counter) Observe(_ context.Context, n runner.Notice) {
	if n.Kind == runner.CommandRetried && errors.Is(n.Err, store.ErrConflict) {
		c.conflicts.Add(1)
	}
}

func (d *show) history(ctx context.Context) error {
	d.title("Nothing is forgotten")
	stream := store.Stream{Type: streamType, ID: "ann"}
	fmt.Fprintln(d.w, "version  balance  event")
	for event, err := range store.Events(ctx, d.bank.store, stream, 0) {
		if err != nil {
			return err
		}
		then, err := d.bank.accounts.Load(ctx, "ann", runner.AsOf(event.Version))
		if err != nil {
			return err
		}
		fmt.Fprintf(d.w, "%7d  %7s  %s %s\n", event.Version, account.Money(then.State.Balance), event.Type, event.Data)
	}
	return nil
}

// The time limit of the last part.
const (
	mostCommands = 200_000
	mostTime     = 2 * time.Second
)

func (d *show) throughput(ctx context.Context) error {
	d.title("Throughput")
	const people = 100
	for i := range people {
		_, err := d.bank.accounts.Handle(ctx, fmt.Sprint("acc-", i), account.Open{Owner: "Load"})
		if err != nil && !errors.Is(err, account.ErrAlreadyOpen) { // left by an earlier demo
			return err
		}
	}
	progress := newProgress(d.progress)
	defer progress.end()
	began := time.Now()
	n := 0
	for ; n < mostCommands && (n%64 != 0 || time.Since(began) < mostTime); n++ {
		progress.at(n)
		if _, err := d.bank.accounts.Handle(ctx, fmt.Sprint("acc-", n%people), account.Deposit{Cents: 1}); err != nil {
			return err
		}
	}
	took := time.Since(began)
	progress.end()
	fmt.Fprintf(d.w, "%d commands on %d accounts in %v: %.0f/s, one after the other\n",
		n, people, took.Round(time.Millisecond), float64(n)/took.Seconds())
	return nil
}

// name formats a command or an event for people, such as "Sent 40.00 transfer rent to
// bob".
func name(v any) string {
	value := reflect.ValueOf(v)
	var words []string
	for i := range value.NumField() {
		field := value.Type().Field(i).Name
		switch f := value.Field(i); field {
		case "Cents":
			words = slices.Insert(words, 0, account.Money(f.Int()))
		case "Owner":
			words = append(words, f.String())
		default:
			words = append(words, strings.ToLower(field), f.String())
		}
	}
	return strings.Join(slices.Insert(words, 0, value.Type().Name()), " ")
}

func names(events []account.Event) string {
	all := make([]string, len(events))
	for i, event := range events {
		all[i] = name(event)
	}
	return strings.Join(all, ", ")
}
