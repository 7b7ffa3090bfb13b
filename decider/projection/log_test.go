package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/internal/logged"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// logs is slog.Default in these tests, so that planted failures do not reach the terminal.
var logs logged.Lines

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(&logs))
	os.Exit(m.Run())
}

// TestTellsByDefault checks that a projection without an observer logs each attempt that
// failed and what it parks, nothing else, and nothing if the observer is nil.
func TestTellsByDefault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		deposit(t, st, "a", 1)
		deposit(t, st, "b", 2)
		apply := func(_ context.Context, _ *memory.Tx, e projection.Event[move]) error {
			if e.Event.Account == "a" {
				return errors.New("no such column: cent")
			}
			return nil
		}
		p := projection.New(st, st, "told", moves(), apply).WithParking(1)
		quiet := projection.New(st, st, "quiet", moves(), apply).WithParking(1).WithObserver(nil)
		for _, p := range []interface{ Run(context.Context) error }{p, quiet} {
			stop := start(t, p)
			time.Sleep(time.Minute)
			if err := stop(); !errors.Is(err, context.Canceled) {
				t.Errorf("Run = %v", err)
			}
		}
		lines := logs.About("told@1")
		if n := len(lines); n < 4 || n > 30 {
			t.Fatalf("a minute of failures and a parked event logged %d lines: %q", n, lines)
		}
		for i, l := range lines {
			want := []string{
				"WARN event failed projection=told@1 position=1 events=1 ", fmt.Sprint("attempt=", i+1), "retry_in=",
				"no such column: cent",
			}
			if i == len(lines)-1 {
				want = []string{"WARN event parked projection=told@1 position=1 key=Account/a ", "no such column: cent"}
			}
			for _, want := range want {
				if !strings.Contains(l, want) {
					t.Errorf("line %d is %q, which lacks %q", i, l, want)
				}
			}
		}
		if lines := logs.About("quiet@1"); len(lines) > 0 {
			t.Errorf("without an observer it logged %q", lines)
		}
	})
}

// TestTellsOutdatedOnce checks that an event of a newer schema is logged once, although
// the projection tries again every few seconds.
func TestTellsOutdatedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		newer := store.Event{ID: store.NewID(), Type: "Deposited", Schema: 2, ContentType: "application/json", Data: []byte(`{}`)}
		if _, err := st.Append(t.Context(), store.Stream{Type: "Account", ID: "a"}, store.Any, []store.Event{newer}); err != nil {
			t.Fatal(err)
		}
		p := projection.Documents(st, st, "outdated", moves(), sum, byAccount)
		stop := start(t, p)
		time.Sleep(time.Minute)
		if is := p.Progress(); is.State != projection.Outdated {
			t.Errorf("it is %s, want outdated", is.State)
		}
		_ = stop()
		if lines := logs.About("outdated@1"); len(lines) != 1 || !strings.HasPrefix(lines[0], "WARN run failed ") {
			t.Errorf("it logged %q, want one line", lines)
		}
	})
}

// down is a log that cannot be read.
type down struct{ store.Log }

// Subscribe yields an error.
func (down) Subscribe(context.Context, store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) { yield(store.Page{}, errors.New("the disk is gone")) }
}

// TestImageTells checks that an image which cannot read its log logs that, and that
// WaitFor has the cause.
func TestImageTells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		at := deposit(t, st, "a", 1)
		m := projection.NewImage(down{st}, moves(), sum)
		stop := start(t, m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.WaitFor(ctx, at.Position); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the disk is gone") {
			t.Errorf("WaitFor = %v", err)
		}
		_ = stop()
		lines := logs.About("the disk is gone")
		if len(lines) == 0 || !strings.HasPrefix(lines[0], "WARN run failed projection=image ") {
			t.Errorf("it logged %q", lines)
		}
	})
}
