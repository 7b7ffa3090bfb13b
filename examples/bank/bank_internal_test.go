package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/account"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

var errCrash = errors.New("crash")

// fragile is a store that fails a courier at a chosen call: before an append, after one,
// or before or after a transaction.
type fragile struct {
	*memory.Store
	calls   atomic.Int64
	crash   int64 // the call that fails; 0: none
	after   bool  // fail after the call
	crashed atomic.Bool
	stop    context.CancelFunc // ends the courier when it crashes
}

// here reports whether the courier crashes now.
func (f *fragile) here() bool {
	if f.calls.Add(1) != f.crash {
		return false
	}
	f.crashed.Store(true)
	f.stop()
	return true
}

func (f *fragile) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	crash := f.here()
	if crash && !f.after {
		return store.Appended{}, errCrash
	}
	appended, err := f.Store.Append(context.WithoutCancel(ctx), s, e, events)
	if crash {
		err = errCrash // it was written, but the courier does not learn that
	}
	return appended, err
}

// Update calls the store's Update, with a crash before or after it.
func (f *fragile) Update(ctx context.Context, do func(tx *memory.Tx) error) error {
	crash := f.here()
	if crash && !f.after {
		return errCrash
	}
	err := f.Store.Update(context.WithoutCancel(ctx), do)
	if crash {
		return errCrash
	}
	return err
}

// carryUntilCrash runs a courier on f until it crashes, or until everything is settled.
// It reports whether everything is settled.
func carryUntilCrash(f *fragile, remembers bool) (settled bool) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	f.stop = stop
	b := newBank(f)
	c := newCourier(b) // has no state of its own
	if remembers {
		c = courierOf(b, transfersOn(b, f))
	}
	return c.during(ctx, func(*courier) error { return nil }) == nil && !f.crashed.Load()
}

// TestTransfersSurviveCrashes checks that, whenever the courier is stopped and started
// again, every transfer ends once, delivered or refunded, and no money is created or
// lost.
func TestTransfersSurviveCrashes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx, st := context.Background(), memory.New()
		b := newBank(st)
		remembers := rapid.Bool().Draw(t, "remembers")
		do := func(id string, cmd account.Command) bool {
			_, err := b.uncached.Handle(ctx, id, cmd)
			if err != nil && !errors.Is(err, runner.ErrRejected) {
				t.Fatal(err)
			}
			return err == nil
		}
		ids := []string{"a-0", "a-1", "a-2", "nobody"}
		var total int64
		for _, id := range ids[:3] {
			do(id, account.Open{Owner: "x"})
			do(id, account.Deposit{Cents: 100})
			total += 100
		}
		sent := 0
		pick := rapid.SampledFrom(ids)
		for i := range rapid.IntRange(1, 6).Draw(t, "transfers") {
			from, to := pick.Draw(t, "from"), pick.Draw(t, "to")
			cents := rapid.Int64Range(1, 120).Draw(t, "cents")
			if do(from, account.Send{Transfer: fmt.Sprint("t-", i), From: from, To: to, Cents: cents}) {
				sent++
			}
			switch at := pick.Draw(t, "at"); rapid.IntRange(0, 8).Draw(t, "then") {
			case 0:
				if do(at, account.Deposit{Cents: cents}) {
					total += cents
				}
			case 1:
				if do(at, account.Withdraw{Cents: cents}) {
					total -= cents
				}
			case 2:
				do(at, account.Close{})
			case 5:
				do(at, account.Open{Owner: "y"}) // a transfer that was declined before a crash stays declined
			case 3, 4:
				f := &fragile{Store: st, crash: rapid.Int64Range(1, 12).Draw(t, "crash"), after: rapid.Bool().Draw(t, "after")}
				carryUntilCrash(f, remembers)
			}
		}
		if !carryUntilCrash(&fragile{Store: st}, remembers) {
			t.Fatal("the courier does not settle")
		}
		var balance int64
		ended := 0
		all, err := b.statements(ctx, newProgress(io.Discard))
		if err != nil {
			t.Fatal(err)
		}
		for id, s := range all {
			balance += s.balance()
			loaded, err := b.uncached.Load(ctx, id)
			if err != nil || loaded.State.Balance != s.balance() || len(loaded.State.Underway) > 0 {
				t.Fatalf("%s: %+v, %v, but the statement says %d", id, loaded.State, err, s.balance())
			}
			ended += s.Delivered
		}
		refunds := 0
		if err := b.log(ctx, func(r recorded) {
			if _, ok := r.Event.(account.Refunded); ok {
				refunds++
			}
		}); err != nil {
			t.Fatal(err)
		}
		if balance != total || ended+refunds != sent {
			t.Fatalf("%d cents of %d; %d transfers sent, %d delivered and %d refunded", balance, total, sent, ended, refunds)
		}
	})
}

// TestDeclinedStaysDeclined checks that a declined transfer is refunded, even if its
// target could accept it when the command is repeated after a crash.
func TestDeclinedStaysDeclined(t *testing.T) {
	t.Parallel()
	ctx, st := t.Context(), memory.New()
	b := newBank(st)
	do := func(id string, cmd account.Command) {
		if _, err := b.accounts.Handle(ctx, id, cmd); err != nil {
			t.Fatal(err)
		}
	}
	do("ann", account.Open{Owner: "Ann"})
	do("ann", account.Deposit{Cents: 100})
	do("ann", account.Send{Transfer: "gift", From: "ann", To: "bob", Cents: 40})
	if carryUntilCrash(&fragile{Store: st, crash: 1, after: true}, false) {
		t.Fatal("the courier did not crash")
	}
	do("bob", account.Open{Owner: "Bob"})
	if !carryUntilCrash(&fragile{Store: st}, false) {
		t.Fatal("the courier does not settle")
	}
	all, err := b.statements(ctx, newProgress(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	if ann, bob := all["ann"], all["bob"]; ann.balance() != 100 || ann.Refunded != 40 || bob.balance() != 0 || bob.Declined != 1 {
		t.Errorf("ann has %+v, bob %+v, want the 40 refunded", ann, bob)
	}
}

// full is a full disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errCrash }

// TestSaysWhenItCannotWrite checks that output that cannot be written is an error.
func TestSaysWhenItCannotWrite(t *testing.T) {
	t.Parallel()
	if err := demo(t.Context(), newBank(memory.New()), full{}, io.Discard); !errors.Is(err, errCrash) {
		t.Errorf("demo on a full disk = %v, want %v", err, errCrash)
	}
	input := `{"id":"c-1","account":"a","command":"open","owner":"A"}`
	if err := batch(t.Context(), newBank(memory.New()), strings.NewReader(input), full{}, io.Discard); !errors.Is(err, errCrash) {
		t.Errorf("batch on a full disk = %v, want %v", err, errCrash)
	}
}

// TestBatchCountsEachCommand checks the outcomes by command, and that the output contains
// no control characters from the input.
func TestBatchCountsEachCommand(t *testing.T) {
	t.Parallel()
	input := strings.Join([]string{
		`{"id":"c-1","account":"a","command":"open","owner":"A\u001b[31m\tB\n"}`,
		`{"id":"c-1","account":"a","command":"open","owner":"A"}`,
		`{"id":"c-2","account":"a","command":"deposit","cents":500}`,
		`{"id":"c-3","account":"a","command":"deposit","cents":500}`,
		`{"id":"c-3","account":"a","command":"deposit","cents":500}`,
		`{"id":"c-4","account":"b","command":"deposit","cents":500}`,
		`{"id":"c-5","account":"a","command":"withdraw","cents":1001}`,
		`{"id":"c-6","account":"a","command":"transfer","to":"b","cents":1000}`,
		`{"id":"c-7","account":"a","command":"close"}`,
		`{"id":"c-8","account":"a","command":"borrow","cents":1}`,
	}, "\n")
	var stdout, stderr strings.Builder
	if err := batch(t.Context(), newBank(memory.New()), strings.NewReader(input), &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	want := `
command     accepted  replayed  rejected
open               1         1         0
deposit            2         1         1
withdraw           0         0         1
transfer           1         0         0
close              0         0         1

commands                                           9
  accepted                                         4
  replayed                                         2
  rejected                                         3
`
	if !strings.Contains(stdout.String(), want) || !strings.Contains(stdout.String(), "A [31m B ") || strings.ContainsAny(stdout.String(), "\x1b\t") {
		t.Errorf("batch prints %q, want %q", stdout.String(), want)
	}
	if got := stderr.String(); !strings.HasPrefix(got, "bank: line 10: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("batch says %q about the one bad line", got)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ line, why string }{
		"not JSON":           {`open acc-1`, "invalid character"},
		"cut off":            {`{"id":"c-1"`, "unexpected EOF"},
		"two values":         {`{"id":"c-1","account":"a","command":"close"} {}`, "more than one JSON value"},
		"an array":           {`[]`, "cannot unmarshal array"},
		"unknown field":      {`{"id":"c-1","account":"a","command":"close","why":"x"}`, `unknown field "why"`},
		"no id":              {`{"account":"a","command":"close"}`, `"id" is missing`},
		"no account":         {`{"id":"c-1","command":"close"}`, `"account" is missing`},
		"no command":         {`{"id":"c-1","account":"a"}`, `"command" is ""`},
		"unknown command":    {`{"id":"c-1","account":"a","command":"fly"}`, `"command" is "fly"`},
		"no amount":          {`{"id":"c-1","account":"a","command":"deposit"}`, `"cents" must be above 0`},
		"negative":           {`{"id":"c-1","account":"a","command":"withdraw","cents":-1}`, `"cents" must be above 0`},
		"a fraction":         {`{"id":"c-1","account":"a","command":"deposit","cents":1.5}`, "cannot unmarshal number 1.5"},
		"larger than an int": {`{"id":"c-1","account":"a","command":"deposit","cents":9223372036854775808}`, "cannot unmarshal number"},
		"transfer to no-one": {`{"id":"c-1","account":"a","command":"transfer","cents":1}`, `"to" is missing`},
		"bad time":           {`{"at":"today","id":"c-1","account":"a","command":"close"}`, "parsing time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r, err := parse([]byte(tt.line)); err == nil || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("parse(%s) = %+v, %v, want %q", tt.line, r, err, tt.why)
			}
		})
	}
}

// TestLines checks that every line has the right number, whatever surrounds it, and that
// a line that is too long is nil.
func TestLines(t *testing.T) {
	t.Parallel()
	kinds := rapid.SampledFrom([]string{"", "  ", "x", " yy\r", strings.Repeat("z", maxLine-1), strings.Repeat("z", maxLine), strings.Repeat("z", 3*maxLine)})
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(kinds, 0, 6).Draw(t, "lines")
		input := strings.Join(all, "\n")
		if rapid.Bool().Draw(t, "newline at the end") {
			input += "\n"
		}
		want, got := map[int]string{}, map[int]string{}
		for i, line := range all {
			if len(line) >= maxLine { // too long with its newline
				line = "too long"
			}
			if line = strings.TrimSpace(line); line != "" {
				want[i+1] = line
			}
		}
		err := lines(strings.NewReader(input), func(number int, line []byte) error {
			if got[number] = string(line); line == nil {
				got[number] = "too long"
			}
			return nil
		})
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("lines(%d bytes): %v\ngot  %.200v\nwant %.200v", len(input), err, got, want)
		}
	})
}

// TestRestoredBackup checks that the courier stops if the log is another one, because
// otherwise it would never send the commands for what happened since the backup.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	before, backup := memory.New(), memory.New()
	for _, st := range []*memory.Store{before, before, backup} {
		if _, err := newBank(st).accounts.Handle(t.Context(), store.NewID(), account.Open{Owner: "ann"}); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*courier) error { return nil }
	b := newBank(before)
	send := account.Send{Transfer: "t", From: "ann", To: "bob", Cents: 1}
	for _, cmd := range []account.Command{account.Open{Owner: "ann"}, account.Deposit{Cents: 1}, send} {
		if _, err := b.accounts.Handle(t.Context(), "ann", cmd); err != nil {
			t.Fatal(err)
		}
	}
	if err := newCourier(b).during(t.Context(), nothing); err != nil {
		t.Fatal(err)
	}
	b = newBank(backup)
	stopped := func(c *courier) error {
		<-c.stopped
		return c.err
	}
	if err := courierOf(b, transfersOn(b, before)).during(t.Context(), stopped); !errors.Is(err, store.ErrLogDiverged) {
		t.Errorf("on a backup: %v, want store.ErrLogDiverged", err)
	}
}

// TestPatience checks that a transfer waits for its account to be opened, and is refunded
// if that does not happen.
func TestPatience(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBank(memory.New())
		b.patience = time.Hour
		do := func(id string, cmd account.Command) {
			if _, err := b.accounts.Handle(t.Context(), id, cmd); err != nil {
				t.Fatal(err)
			}
		}
		do("ann", account.Open{Owner: "Ann"})
		do("ann", account.Deposit{Cents: 100})
		err := newCourier(b).during(t.Context(), func(*courier) error {
			do("ann", account.Send{Transfer: "rent", From: "ann", To: "bob", Cents: 40})
			do("ann", account.Send{Transfer: "gift", From: "ann", To: "nobody", Cents: 50})
			time.Sleep(30 * time.Minute)
			do("bob", account.Open{Owner: "Bob"})
			time.Sleep(29 * time.Minute)
			if all, err := b.statements(t.Context(), newProgress(io.Discard)); err != nil || all["bob"].Received != 40 || all["ann"].Refunded != 0 {
				t.Errorf("after 59 minutes: %+v, %v", all, err)
			}
			time.Sleep(2 * time.Minute)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if all, err := b.statements(t.Context(), newProgress(io.Discard)); err != nil || all["ann"].Refunded != 50 || all["ann"].Delivered != 1 || all["ann"].balance() != 60 {
			t.Errorf("after an hour: %+v, %v", all, err)
		}
	})
}
