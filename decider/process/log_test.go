package process_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/internal/logged"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// logs is slog.Default in these tests, so that planted failures do not reach the terminal.
var logs logged.Lines

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(&logs))
	os.Exit(m.Run())
}

// TestTellsByDefault checks that a process without an observer logs each attempt that
// failed and each quarantine, nothing else, and nothing if the observer is nil.
func TestTellsByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		record(t, st, happened{"1", "bad"})
		record(t, st, happened{"2", "good"})
		send := func(_ context.Context, c process.Command[string]) error {
			if strings.HasSuffix(c.Command, "bad") {
				return errors.New("the parcel service is down")
			}
			return nil
		}
		r := process.New(st, st, "Told", echo(), jobs())
		for _, r := range []*process.Runtime[*memory.Tx, happened, string, string]{r, process.New(st, st, "Quiet", echo(), jobs()).WithObserver(nil)} {
			stop := started(t, r, send)
			time.Sleep(10 * time.Minute)
			_ = stop()
		}
		lines := logs.About("Told@1")
		if n := len(lines); n < 4 || n > 60 {
			t.Fatalf("5 minutes of failures and a quarantine logged %d lines: %q", n, lines)
		}
		for i, l := range lines {
			kind := "failed"
			if i == len(lines)-1 {
				kind = "quarantined"
			}
			for _, want := range []string{
				fmt.Sprintf("WARN instance %s process=Told@1 instance=1 position=1 attempt=%d ", kind, i+1), "the parcel service is down",
			} {
				if !strings.Contains(l, want) {
					t.Errorf("line %d is %q, which lacks %q", i, l, want)
				}
			}
		}
		if lines := logs.About("Quiet@1"); len(lines) > 0 {
			t.Errorf("without an observer it logged %q", lines)
		}
	})
}

// TestTellsOutdatedOnce checks that an event of a newer schema is logged once, although
// the process tries again every few seconds.
func TestTellsOutdatedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		newer := store.Event{ID: store.NewID(), Type: "Happened", Schema: 2, ContentType: "application/json", Data: []byte(`{}`)}
		if _, err := st.Append(t.Context(), store.Stream{Type: "Job", ID: "a"}, store.Any, []store.Event{newer}); err != nil {
			t.Fatal(err)
		}
		r := process.New(st, st, "Outdated", echo(), jobs())
		started(t, r, nothing)
		time.Sleep(time.Minute)
		if is := r.Progress(); is.State != process.Outdated {
			t.Errorf("it is %s, want outdated", is.State)
		}
		if lines := logs.About("Outdated@1"); len(lines) != 1 || !strings.HasPrefix(lines[0], "WARN run failed ") {
			t.Errorf("it logged %q, want one line", lines)
		}
	})
}

// TestTellsThatRunEnds checks that an error with which Run ends at once is logged, for
// callers that do not look at it.
func TestTellsThatRunEnds(t *testing.T) {
	t.Parallel()
	st := memory.New()
	p := decider.Process[happened, func(), string]{
		Evolve: func(s func(), _ happened) func() { return s },
		React:  func(func(), happened) decider.Reaction[string, happened] { return decider.Reaction[string, happened]{} },
		Key:    func(e happened) (string, bool) { return e.Job, true },
	}
	err := process.New(st, st, "Lossy", p, jobs()).Run(t.Context(), nothing)
	if err == nil || !strings.Contains(err.Error(), "use WithState") {
		t.Errorf("Run = %v", err)
	}
	if lines := logs.About("Lossy@1"); len(lines) != 1 || !strings.HasPrefix(lines[0], "WARN run failed ") {
		t.Errorf("it logged %q, want one line", lines)
	}
}

// TestTellsWhatPanicked checks that a panic of the source and one of Key are told apart,
// and that the log has the stack.
func TestTellsWhatPanicked(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Source": "the codec of the source or the function of codec.From panicked: ", "Keyless": "Key panicked: ",
	} {
		synctest.Test(t, func(t *testing.T) {
			st := memory.New()
			record(t, st, happened{"1", "a"})
			p := decider.Process[*happened, string, string]{
				Evolve: func(s string, _ *happened) string { return s },
				React:  func(string, *happened) (r decider.Reaction[string, *happened]) { return r },
				Key:    func(e *happened) (string, bool) { return e.Job, true },
			}
			source := codec.Events(codec.From("Job", events(), func(_ *store.Recorded, e happened) *happened {
				if name == "Source" {
					panic("no such job")
				}
				return nil
			}))
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			_ = process.New(st, st, name, p, source).Run(ctx, nothing)
			lines := logs.About(name + "@1")
			if len(lines) == 0 || !strings.Contains(lines[0], want) || !strings.Contains(lines[0], "log_test.go") {
				t.Errorf("it logged %q, want %q and the stack", lines, want)
			}
		})
	}
}
