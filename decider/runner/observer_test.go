package runner_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// notices records what it observes.
type notices struct {
	mu  sync.Mutex
	all []runner.Notice // guarded by mu
}

func (n *notices) Observe(_ context.Context, notice runner.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, notice)
}

func (n *notices) of(kind runner.Kind) []runner.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.all), func(n runner.Notice) bool { return n.Kind != kind })
}

// slowSnapshots takes 7 ms to save one.
type slowSnapshots struct{ store.Snapshots }

func (s slowSnapshots) SaveSnapshot(ctx context.Context, snap store.Snapshot) error {
	time.Sleep(7 * time.Millisecond)
	return s.Snapshots.SaveSnapshot(ctx, snap)
}

func TestObserver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, seen := newSpy(), &notices{}
		rival(t, st, 2)
		slow := st.onAppend
		st.onAppend = func(ctx context.Context, n int, do func() (store.Appended, error)) (store.Appended, error) {
			time.Sleep(time.Second)
			return slow(ctx, n, do)
		}
		r := newAccounts(st).WithObserver(seen).WithRetry(runner.Retry{Jitter: func(d time.Duration) time.Duration { return d }})
		r = r.WithSnapshots(snapshots{Store: slowSnapshots{memory.New()}, Schema: "1", Every: 1})
		must(t, r, "a", withdraw{0, 2})
		if _, err := r.Handle(t.Context(), "a", open{"bob"}); err == nil {
			t.Error("opening an open account succeeded")
		}

		ms := time.Millisecond
		want := []runner.Notice{
			{Kind: runner.StreamLoaded, Version: 1, Events: 1, Attempt: 1},
			{Kind: runner.ConflictFound, Events: 2, Attempt: 1, Took: 1000 * ms, Err: store.ErrConflict},
			{Kind: runner.CommandRetried, Version: 1, Attempt: 2, Err: store.ErrConflict},
			{Kind: runner.StreamLoaded, Version: 2, Events: 1, Attempt: 2},
			{Kind: runner.ConflictFound, Events: 2, Attempt: 2, Took: 1000 * ms, Err: store.ErrConflict},
			{Kind: runner.CommandRetried, Version: 2, Attempt: 3, Took: 2 * ms, Err: store.ErrConflict},
			{Kind: runner.StreamLoaded, Version: 3, Events: 1, Attempt: 3},
			{Kind: runner.EventsAppended, Version: 5, Events: 2, Attempt: 3, Took: 1000 * ms},
			{Kind: runner.SnapshotSaved, Version: 5, Attempt: 3, Took: 7 * ms},
			{Kind: runner.CommandHandled, Version: 5, Events: 2, Attempt: 3, Took: 3009 * ms},
			{Kind: runner.StreamLoaded, Version: 5, Attempt: 1, Origin: runner.FromSnapshot},
			{Kind: runner.CommandHandled, Attempt: 1, Err: errOpen},
		}
		if len(seen.all) != len(want) {
			t.Fatalf("%d notices, want %d: %+v", len(seen.all), len(want), seen.all)
		}
		for i, got := range seen.all {
			if !errors.Is(got.Err, want[i].Err) {
				t.Errorf("notice %d: error %v, want %v", i, got.Err, want[i].Err)
			}
			want[i].Stream, got.Err, want[i].Err = stream("a"), nil, nil
			if want[i].Command = "runner_test.withdraw"; i >= 10 {
				want[i].Command = "runner_test.open"
			}
			if got != want[i] {
				t.Errorf("notice %d = %+v, want %+v", i, got, want[i])
			}
		}
	})
}

// A command on a cached state looks at the clock four times for its observer: at its
// beginning, for the time of its events, and before and after the append. A look costs as
// much as the cache.
func TestObserverSparesTheClock(t *testing.T) {
	t.Parallel()
	looks, now := 0, time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	r := newAccounts(newSpy()).WithObserver(&notices{}).WithCache(runner.Cache[account]{}).WithClock(func() time.Time {
		looks++
		return now
	})
	must(t, r, "a", open{"ann"})
	looks = 0
	if must(t, r, "a", deposit{1}); looks != 4 {
		t.Errorf("%d looks at the clock, want 4", looks)
	}
}

// The observer is told if the store answers that events were recorded before.
func TestObserverOfAReplay(t *testing.T) {
	t.Parallel()
	st, seen := newSpy(), &notices{}
	st.onAppend = lost()
	st.onRead = func(_ context.Context, n int, do func() (store.Page, error)) (store.Page, error) {
		if n == 2 { // of the tail, after the append
			return store.Page{}, errDown
		}
		return do()
	}
	must(t, newAccounts(st).WithObserver(seen), "a", open{"ann"})
	appended := seen.of(runner.EventsAppended)
	if len(appended) != 2 || !errors.Is(appended[0].Err, errDown) || appended[0].Replayed || appended[1].Err != nil || !appended[1].Replayed {
		t.Errorf("told %+v of the appends, want a failure and a replay", appended)
	}
	if handled := seen.of(runner.CommandHandled); len(handled) != 1 || !handled[0].Replayed {
		t.Errorf("told %+v of the command, want a replay", handled)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		handler := slog.NewTextHandler(&text, &slog.HandlerOptions{
			Level: slog.LevelInfo,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		})
		st := newSpy()
		r := newAccounts(st).WithObserver(runner.Log(slog.New(handler)))
		must(t, r, "a", open{"ann"}, runner.CommandID("c"))
		must(t, r, "a", open{"ann"}, runner.CommandID("c"))
		_, _ = r.Handle(t.Context(), "a", open{"bob"})
		st.onRead = func(context.Context, int, func() (store.Page, error)) (store.Page, error) {
			return store.Page{}, errDown
		}
		_, _ = r.Load(t.Context(), "a")
		_, _ = r.Handle(t.Context(), "a", open{"bob"})
		want := `level=INFO msg="command handled" stream=Account/a command=runner_test.open command_id=c version=1 events=1 attempt=1 took=0s
level=INFO msg="command handled" stream=Account/a command=runner_test.open command_id=c version=1 events=1 attempt=1 took=0s replayed=true
level=INFO msg="command rejected" stream=Account/a command=runner_test.open version=0 events=0 attempt=1 took=0s error="account: already open"
level=WARN msg="stream not loaded" stream=Account/a version=0 events=0 attempt=1 took=0s error="store: connection reset"
level=WARN msg="stream not loaded" stream=Account/a command=runner_test.open version=0 events=0 attempt=1 took=0s error="store: connection reset"
level=WARN msg="command failed" stream=Account/a command=runner_test.open version=0 events=0 attempt=1 took=0s error="load Account/a: store: connection reset"
`
		if got := text.String(); got != want {
			t.Errorf("log:\n%s\nwant:\n%s", got, want)
		}
	})
}

// A failure is not reported as what it should have been.
func TestLogOfFailures(t *testing.T) {
	t.Parallel()
	for kind, want := range map[runner.Kind]string{
		runner.StreamLoaded: "stream not loaded", runner.EventsAppended: "events not appended", runner.SnapshotSaved: "snapshot not saved",
		runner.SnapshotMissed: "snapshot missed", runner.BatchHandled: "batch failed", runner.CommandHandled: "command failed",
		runner.ObserverFailed: "observer failed",
	} {
		var text bytes.Buffer
		runner.Log(slog.New(slog.NewTextHandler(&text, nil))).Observe(t.Context(), runner.Notice{Kind: kind, Err: errDown})
		if want = "level=WARN msg=" + strconv.Quote(want); !strings.Contains(text.String(), want) {
			t.Errorf("%v: %s, want %s", kind, text.String(), want)
		}
	}
}

// A command that is a nil interface has a name too.
func TestObserverOfANilCommand(t *testing.T) {
	t.Parallel()
	seen := &notices{}
	if _, err := newAccounts(newSpy()).WithObserver(seen).Handle(t.Context(), "a", nil); !errors.Is(err, runner.ErrRejected) {
		t.Errorf("Handle(nil) = %v, want a rejection", err)
	}
	if handled := seen.of(runner.CommandHandled); len(handled) != 1 || handled[0].Command != "<nil>" {
		t.Errorf("told %+v, want the command <nil>", handled)
	}
}

func TestKindString(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := runner.StreamLoaded; k <= runner.SnapshotMissed; k++ {
		if text := k.String(); seen[text] || text == "unknown" || !strings.Contains(text, " ") {
			t.Errorf("kind %d is %q", k, text)
		}
		seen[k.String()] = true
	}
	if text := runner.Kind(0).String(); text != "unknown" {
		t.Errorf("kind 0 is %q", text)
	}
}
