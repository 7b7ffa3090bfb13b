package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

type (
	happened struct{ Job, Text string }
	hidden   struct{ text string } //nolint:unused // JSON loses it
)

func echo() decider.Process[happened, string, string] {
	return decider.Process[happened, string, string]{
		Key:    func(e happened) (string, bool) { return e.Job, true },
		Evolve: func(s string, e happened) string { return s + e.Text },
		React: func(s string, e happened) (r decider.Reaction[string, happened]) {
			r.Send = []string{s}
			if e.Text == "later" {
				r.Later = []decider.Timer[happened]{{Name: "t", After: time.Minute, Event: happened{Text: "!"}}}
			}
			return r
		},
	}
}

func events() codec.Codec[happened] { return codec.JSON(map[string]happened{"Happened": {}}) }

func jobs() codec.Source[happened] {
	return codec.Events(codec.From("Job", events(), func(_ *store.Recorded, e happened) happened { return e }))
}

func record(t *testing.T, st *memory.Store, e happened) uint64 {
	t.Helper()
	encoded, err := events().Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	encoded.ID = store.NewID()
	appended, err := st.Append(t.Context(), store.Stream{Type: "Job", ID: "1"}, store.Any, []store.Event{encoded})
	if err != nil {
		t.Fatal(err)
	}
	return appended.Position
}

func nothing(context.Context, process.Command[string]) error { return nil }

func TestPanics(t *testing.T) {
	t.Parallel()
	st := memory.New()
	r := process.New(st, st, "Echo", echo(), jobs())
	without := func(change func(*decider.Process[happened, string, string])) func() {
		p := echo()
		change(&p)
		return func() { process.New(st, st, "Echo", p, jobs()) }
	}
	for name, tt := range map[string]struct {
		do   func()
		text string
	}{
		"no log":         {func() { process.New(nil, st, "Echo", echo(), jobs()) }, `process "Echo": log or target is nil`},
		"no name":        {func() { process.New(st, st, "", echo(), jobs()) }, `the name "" must be 1 to 256 bytes`},
		"a long name":    {func() { process.New(st, st, strings.Repeat("a", 257), echo(), jobs()) }, `must be 1 to 256 bytes`},
		"a NUL":          {func() { process.New(st, st, "a\x00", echo(), jobs()) }, `the name "a\x00" must be`},
		"no Evolve":      {without(func(p *decider.Process[happened, string, string]) { p.Evolve = nil }), "Evolve, React and Key must not be nil"},
		"no React":       {without(func(p *decider.Process[happened, string, string]) { p.React = nil }), "Evolve, React and Key must not be nil"},
		"no Key":         {without(func(p *decider.Process[happened, string, string]) { p.Key = nil }), "Evolve, React and Key must not be nil"},
		"its own events": {func() { process.New(st, st, "Job", echo(), jobs()) }, `not streams of type "Job"`},
		"no source":      {func() { process.New(st, st, "Echo", echo(), codec.Source[happened]{}) }, "the source must read something"},
		"no codec":       {func() { r.WithTimers(nil) }, "WithTimers(nil)"},
		"two codecs":     {func() { r.WithTimers(events()).WithTimers(events()) }, "WithTimers twice"},
		"no answer":      {func() { r.WithRejected(nil) }, "WithRejected(nil)"},
		"no budget":      {func() { r.WithBudget(-1) }, "WithBudget(-1ns)"},
		"no workers":     {func() { r.WithWorkers(0) }, "WithWorkers(0)"},
		"no state":       {func() { r.WithState(nil, nil) }, "WithState needs both"},
		"no commands":    {func() { r.WithCommands(nil) }, "WithCommands(nil)"},
		"no version":     {func() { r.WithVersion(0) }, "WithVersion(0)"},
		"no Send":        {func() { _ = r.Run(t.Context(), nil) }, "Run needs a Send"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "process") || !strings.Contains(got, tt.text) {
					t.Errorf("panic %q, want %q", got, tt.text)
				}
			}()
			tt.do()
		})
	}
}

// started runs r in the bubble of t until the test ends.
func started[S any](t *testing.T, r *process.Runtime[*memory.Tx, happened, S, string], send process.Send[string]) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = r.Run(ctx, send)
	}()
	stop = func() error {
		cancel()
		<-done
		return err
	}
	t.Cleanup(func() { _ = stop() }) // a second call does nothing
	synctest.Wait()
	return stop
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	t.Run("with the context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := memory.New()
			r := process.New(st, st, "Echo", echo(), jobs())
			stop := started(t, r, nothing)
			if err := r.Run(t.Context(), nothing); !errors.Is(err, process.ErrRunning) {
				t.Errorf("Run beside Run: %v", err)
			}
			if got := r.Progress().State; got != process.Live {
				t.Errorf("the state is %q", got)
			}
			if err := stop(); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
			if got := r.Progress().State; got != process.Idle {
				t.Errorf("afterwards the state is %q", got)
			}
		})
	})
	t.Run("with a state that JSON loses", func(t *testing.T) {
		t.Parallel()
		st := memory.New()
		p := decider.Process[happened, hidden, string]{
			Key:    func(e happened) (string, bool) { return e.Job, true },
			Evolve: func(s hidden, _ happened) hidden { return s },
			React:  func(hidden, happened) (r decider.Reaction[string, happened]) { return r },
		}
		err := process.New(st, st, "Echo", p, jobs()).Run(t.Context(), nothing)
		if err == nil || !strings.Contains(err.Error(), "JSON loses the field text") || !strings.Contains(err.Error(), "use WithState") {
			t.Errorf("Run: %v", err)
		}
	})
	t.Run("on another log", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			st := memory.New()
			record(t, st, happened{"a", "x"})
			stop := started(t, process.New(st, st, "Echo", echo(), jobs()), nothing)
			_ = stop()
			err := process.New(memory.New(), st, "Echo", echo(), jobs()).Run(t.Context(), nothing)
			if !errors.Is(err, store.ErrLogDiverged) {
				t.Errorf("Run: %v", err)
			}
		})
	})
}

// TestState checks that the state goes through WithState, and survives a restart.
func TestState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		var sent []string
		send := func(_ context.Context, c process.Command[string]) error {
			sent = append(sent, c.Command)
			return nil
		}
		encode := func(s string) ([]byte, error) { return []byte("\xff" + s), nil }
		decode := func(data []byte) (string, error) { return strings.TrimPrefix(string(data), "\xff"), nil }
		for _, text := range []string{"a", "b", "c"} {
			stop := started(t, process.New(st, st, "Echo", echo(), jobs()).WithState(encode, decode), send)
			record(t, st, happened{"1", text})
			synctest.Wait()
			_ = stop()
		}
		if want := []string{"a", "ab", "abc"}; !reflect.DeepEqual(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// TestPureFailures checks which failures quarantine an instance at once, and their
// messages.
func TestPureFailures(t *testing.T) {
	t.Parallel()
	long := happened{"1", "later"}
	for name, tt := range map[string]struct {
		change func(*process.Runtime[*memory.Tx, happened, string, string]) *process.Runtime[*memory.Tx, happened, string, string]
		text   string
	}{
		"no codec for timers": {nil, `timer "t": the process has no codec for its timers: see WithTimers`},
		"timers that are values": {func(r *process.Runtime[*memory.Tx, happened, string, string]) *process.Runtime[*memory.Tx, happened, string, string] {
			return r.WithTimers(codec.Values[happened]())
		}, "its codec keeps values"},
		"commands that cannot be encoded": {func(r *process.Runtime[*memory.Tx, happened, string, string]) *process.Runtime[*memory.Tx, happened, string, string] {
			return r.WithCommands(func(string) ([]byte, error) { return nil, errors.New("no") })
		}, "encode string: no"},
		"an encoding that panics": {func(r *process.Runtime[*memory.Tx, happened, string, string]) *process.Runtime[*memory.Tx, happened, string, string] {
			return r.WithTimers(events()).WithState(func(string) ([]byte, error) { panic("oh") }, func([]byte) (s string, err error) { return s, nil })
		}, "encode the state: the encoding of states panicked: oh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := memory.New()
				r := process.New(st, st, "Echo", echo(), jobs())
				if tt.change != nil {
					r = tt.change(r)
				}
				started(t, r, nothing)
				at := record(t, st, long)
				err := r.WaitFor(t.Context(), at, "1")
				var waits *process.InstanceError
				if !errors.As(err, &waits) || !errors.Is(err, process.ErrWaiting) || !waits.Quarantined || !strings.Contains(waits.Cause, tt.text) {
					t.Errorf("WaitFor: %v, want %q", err, tt.text)
				}
			})
		})
	}
}

func TestWaitFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		r, elsewhere := process.New(st, st, "Echo", echo(), jobs()), process.New(st, st, "Echo", echo(), jobs())
		if err := r.WaitFor(t.Context(), 7); !errors.Is(err, process.ErrAhead) {
			t.Errorf("beyond the head: %v", err)
		}
		at := record(t, st, happened{"1", "x"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := elsewhere.WaitFor(ctx, at); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "wait for position 1: it is idle at position 0") {
			t.Errorf("while it does not run: %v", err)
		}
		started(t, r, nothing)
		for _, r := range []*process.Runtime[*memory.Tx, happened, string, string]{r, elsewhere} {
			if err := r.WaitFor(t.Context(), at); err != nil {
				t.Error(err)
			}
		}
		other := store.Event{ID: store.NewID(), Type: "Other", Data: []byte("{}")}
		last, err := st.Append(t.Context(), store.Stream{Type: "Other", ID: "1"}, store.Any, []store.Event{other})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []*process.Runtime[*memory.Tx, happened, string, string]{r, elsewhere} {
			if err := r.WaitFor(t.Context(), last.Position); err != nil {
				t.Errorf("behind an event that does not concern the process: %v", err)
			}
		}
	})
}

// TestBlocked checks that an event that cannot be decoded stops the process visibly, and
// that an event of a newer schema releases the lease for a program that can read it.
func TestBlocked(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		broken store.Event
		state  process.State
		is     error
	}{
		"broken": {store.Event{Type: "Happened", Schema: 1, Data: []byte("?")}, process.Retrying, codec.ErrDecode},
		"newer":  {store.Event{Type: "Happened", Schema: 9, Data: []byte("{}")}, process.Outdated, codec.ErrNewerSchema},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := memory.New()
				r := process.New(st, st, "Echo", echo(), jobs())
				started(t, r, nothing)
				first := record(t, st, happened{"1", "x"})
				tt.broken.ID = store.NewID()
				if _, err := st.Append(t.Context(), store.Stream{Type: "Job", ID: "1"}, store.Any, []store.Event{tt.broken}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				p := r.Progress()
				if p.State != tt.state || !errors.Is(p.Cause, tt.is) || p.Position != first || p.Since.IsZero() || p.Attempts < 3 {
					t.Errorf("the progress is %+v", p)
				}
				if want := "process Echo@1: event at position 2 (Happened, version 2 of Job/1): "; !strings.HasPrefix(p.Cause.Error(), want) {
					t.Errorf("the cause is %q, want %q", p.Cause, want)
				}
				if tt.state == process.Outdated { // it is free now and then
					free := false
					for range 100 {
						_, err := st.AcquireLease(t.Context(), "process/Echo@1", "newer", time.Second)
						free = free || err == nil
						time.Sleep(50 * time.Millisecond)
					}
					if !free {
						t.Error("the lease is never released")
					}
				}
			})
		})
	}
}

// loud is an observer that panics.
type loud struct{}

// Observe panics.
func (loud) Observe(context.Context, process.Notice) { panic("loud") }

func TestObserver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		var text bytes.Buffer
		l := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
		r := process.New(st, st, "Echo", echo(), jobs()).WithTimers(events()).WithObserver(process.Log(l))
		stop := started(t, r, func(_ context.Context, c process.Command[string]) error {
			if strings.HasSuffix(c.Command, "bad") {
				return process.Permanent(errors.New("broken"))
			}
			return nil
		})
		record(t, st, happened{"1", "later"})
		record(t, st, happened{"2", "bad"})
		time.Sleep(2 * time.Minute)
		_ = stop()
		for _, want := range []string{
			`level=INFO msg="owner began" process=Echo@1`, `level=DEBUG msg=reacted process=Echo@1 instance=1 position=1`, "commands=1 timers=1",
			`level=WARN msg="instance quarantined" process=Echo@1 instance=2 position=2 attempt=1 error="send string: broken"`,
			`level=DEBUG msg="timer fired" process=Echo@1 instance=1 position=3`, `level=INFO msg="owner ended"`,
		} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, &text)
			}
		}
		r = process.New(st, st, "Loud", echo(), jobs()).WithTimers(events()).WithObserver(loud{})
		started(t, r, nothing)
		if p := r.Progress(); p.State != process.Live || p.Fault == nil || !strings.Contains(p.Fault.Error(), "observer panicked: loud") {
			t.Errorf("with an observer that panics: %+v", p)
		}
	})
	if got := process.Kind(99).String(); got != "unknown" {
		t.Errorf("an unknown kind is %q", got)
	}
}

// TestAbandonedElsewhere checks that an owner with an instance in memory sends nothing
// for it once another program has abandoned it, and that the owner's other instances
// continue.
func TestAbandonedElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		var sent []string
		r := process.New(st, st, "Echo", echo(), jobs()).WithWorkers(1)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- r.Run(ctx, func(_ context.Context, c process.Command[string]) error {
				sent = append(sent, c.Command)
				return nil
			})
		}()
		for _, e := range []happened{{"a", "1"}, {"b", "x"}, {"a", "2"}, {"b", "y"}} {
			record(t, st, e)
			synctest.Wait()
		}
		if err := process.New(st, st, "Echo", echo(), jobs()).Abandon(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		record(t, st, happened{"a", "3"})
		synctest.Wait()
		record(t, st, happened{"b", "z"})
		synctest.Wait()
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
		if want := []string{"1", "x", "12", "xy", "xyz"}; !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}

// TestBeginsAtTheEnd checks that a new process with WithRestore sends nothing for what was
// in the log before, except for timers that are overdue, and reacts to what comes.
func TestBeginsAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		record(t, st, happened{"1", "a"})
		record(t, st, happened{"2", "later"})
		time.Sleep(time.Hour)
		var sent []string
		r := process.New(st, st, "Echo", echo(), jobs()).WithTimers(events()).WithRestore()
		started(t, r, func(_ context.Context, c process.Command[string]) error {
			sent = append(sent, c.Command)
			return nil
		})
		record(t, st, happened{"1", "b"})
		synctest.Wait()
		slices.Sort(sent)
		if want := []string{"ab", "later!"}; !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	})
}
