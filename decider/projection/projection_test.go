package projection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store/memory"
)

type lossy struct{ cents int64 }

// TestRefused checks that invalid arguments panic at the call, with a clear message.
func TestRefused(t *testing.T) {
	t.Parallel()
	st := memory.New()
	apply := func(context.Context, *memory.Tx, projection.Event[move]) error { return nil }
	good := projection.New(st, st, "good", moves(), apply)
	for name, tt := range map[string]struct {
		make func()
		says string
	}{
		"no name":         {func() { projection.New(st, st, "", moves(), apply) }, "the name"},
		"a long name":     {func() { projection.New(st, st, strings.Repeat("x", 257), moves(), apply) }, "the name"},
		"no apply":        {func() { projection.New[*memory.Tx, move](st, st, "p", moves(), nil) }, "apply is nil"},
		"no log":          {func() { projection.New(nil, st, "p", moves(), apply) }, "log or target is nil"},
		"version 0":       {func() { good.WithVersion(0) }, "good@1: version 0"},
		"no parking":      {func() { good.WithParking(0) }, "parking of 0 keys"},
		"a negative wait": {func() { good.WithRetry(projection.Retry{Pause: -1}) }, "negative"},
		"no batch":        {func() { good.WithBatch(0, time.Second) }, "batches of 0 events"},
		"no owner":        {func() { good.WithLease(st, "", time.Second) }, "owner is empty"},
		"no limit":        {func() { good.WithLagLimit(0) }, "lag limit"},
		"no such part":    {func() { good.Partition(3, 3) }, "part 3 of 3"},
		"a lossy state": {func() {
			view := decider.View[lossy, move]{Evolve: func(s lossy, m move) lossy { return lossy{s.cents + m.Cents} }}
			projection.Documents(st, st, "p", moves(), view, byAccount)
		}, "cents"},
		"effects inline": {func() {
			projection.Inline(st, projection.Deliver(st, st, "p", moves(), func(context.Context, projection.Event[move]) error { return nil }))
		}, "effects cannot be inline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, tt.says) {
					t.Errorf("the panic is %q, want one that says %q", text, tt.says)
				}
			}()
			tt.make()
		})
	}
}

// TestHealth checks which states are healthy, and what the handler answers.
func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		broken := errors.New("broken")
		var fails atomic.Bool
		p := projection.New(st, st, "p", moves(), func(context.Context, *memory.Tx, projection.Event[move]) error {
			if fails.Load() {
				return broken
			}
			return nil
		})
		stop := start(t, p)
		ask := func() (int, projection.Health) {
			t.Helper()
			answer := httptest.NewRecorder()
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
			projection.HealthHandler(p).ServeHTTP(answer, request)
			var all []projection.Health
			if err := json.Unmarshal(answer.Body.Bytes(), &all); err != nil || len(all) != 1 {
				t.Fatalf("the answer is %s, %v", answer.Body, err)
			}
			return answer.Code, all[0]
		}
		if err := p.WaitFor(t.Context(), deposit(t, st, "a", 1).Position); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // with nothing to do
		if code, h := ask(); code != http.StatusOK || !h.Healthy || h.Position != 1 || h.State != projection.Live {
			t.Errorf("after an hour without events: %d, %+v", code, h)
		}
		fails.Store(true)
		deposit(t, st, "a", 1)
		time.Sleep(30 * time.Second)
		if code, h := ask(); code != http.StatusOK || h.Cause == "" || h.Lag < 29 {
			t.Errorf("after 30 seconds of failures: %d, %+v", code, h)
		}
		time.Sleep(time.Minute)
		if code, h := ask(); code != http.StatusServiceUnavailable || !strings.Contains(h.Reason, "stood still") {
			t.Errorf("after 90 seconds of failures: %d, %+v", code, h)
		}
		_ = stop()
		bad := projection.New(st, st, "bad", moves(), func(context.Context, *memory.Tx, projection.Event[move]) error { return nil }).
			WithSetup(func(context.Context, *memory.Tx) error { return broken })
		if err := bad.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Run = %v", err)
		}
		if h := bad.Health(); h.Healthy || h.State != projection.Failed || h.Cause == "" {
			t.Errorf("after Run has failed: %+v", h)
		}
	})
}

// TestParkedAfter checks that an event which fails with a temporary error is parked when
// it has been retried for as long as Retry says, and not before.
func TestParkedAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		p := projection.New(st, st, "parks", moves(), func(context.Context, *memory.Tx, projection.Event[move]) error {
			return errors.New("no answer")
		}).WithParking(1).WithRetry(projection.Retry{For: time.Hour})
		began := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		if err := p.WaitFor(t.Context(), deposit(t, st, "a", 5).Position); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("it is parked after %v, want an hour", took)
		}
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v", err)
		}
	})
}

// TestImageFails checks that an image ends with the event that it cannot fold, and that
// its state is the one before that event.
func TestImageFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st := memory.New()
		image := projection.NewImage(st, moves(), decider.View[int64, move]{Evolve: func(s int64, m move) int64 {
			if m.Cents < 0 {
				panic("negative")
			}
			return s + m.Cents
		}})
		done := make(chan error, 1)
		go func() { done <- image.Run(t.Context()) }()
		if err := image.WaitFor(t.Context(), deposit(t, st, "a", 5).Position); err != nil {
			t.Fatal(err)
		}
		if err := image.WaitFor(t.Context(), 2); !errors.Is(err, projection.ErrAhead) {
			t.Errorf("WaitFor of a position beyond the head = %v, want %v", err, projection.ErrAhead)
		}
		bad := deposit(t, st, "a", -1).Position
		var failed *projection.EventError
		if err := <-done; !errors.As(err, &failed) || failed.Position != bad {
			t.Errorf("Run = %v, want an *EventError of position %d", err, bad)
		}
		if err := image.WaitFor(t.Context(), bad); !errors.As(err, &failed) {
			t.Errorf("WaitFor = %v, want the error that Run has ended with", err)
		}
		if state, at := image.State(); state != 5 || at != bad-1 {
			t.Errorf("State = %d, %d; want 5, %d", state, at, bad-1)
		}
	})
}
