package otelevolve_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"
	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// TestOutcomes checks that the span and the metric have the right outcome, and which
// outcomes are errors.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	type world struct {
		*rig
		faults *faults.Faulty
		run    *accounts
	}
	handle := func(ctx context.Context, w *world, c command, opts ...runner.Option) {
		_, _ = w.run.Handle(ctx, "a", c, opts...)
	}
	for name, tt := range map[string]struct {
		do    func(ctx context.Context, w *world)
		fault bool
	}{
		"appended":  {do: func(ctx context.Context, w *world) { handle(ctx, w, deposit{1}) }},
		"unchanged": {do: func(ctx context.Context, w *world) { handle(ctx, w, deposit{0}) }},
		"replayed": {do: func(ctx context.Context, w *world) {
			_, _ = newAccounts(w.faults.Store()).Handle(ctx, "a", deposit{1}, runner.CommandID("c"))
			handle(ctx, w, deposit{1}, runner.CommandID("c"))
		}},
		"rejected": {do: func(ctx context.Context, w *world) { handle(ctx, w, withdraw{1}) }},
		"conflict": {do: func(ctx context.Context, w *world) { handle(ctx, w, deposit{1}, runner.ExpectVersion(7)) }},
		"claimed": {do: func(ctx context.Context, w *world) {
			w.run = w.run.WithClaims(func(string, account, changed, account) []store.Claim {
				return []store.Claim{{Key: "name:ann"}}
			})
			_, _ = w.run.WithObserver(nil).Handle(ctx, "b", deposit{1})
			handle(ctx, w, deposit{1})
		}},
		"exhausted": {do: func(ctx context.Context, w *world) {
			w.faults.Next(faults.Refuse)
			handle(ctx, w, deposit{1}, runner.MaxAttempts(1))
		}, fault: true},
		"unknown": {do: func(ctx context.Context, w *world) {
			w.faults.Next(faults.Down)
			handle(ctx, w, deposit{1}, runner.MaxAttempts(1))
		}, fault: true},
		"invalid": {do: func(ctx context.Context, w *world) {
			_, _ = w.run.Handle(ctx, strings.Repeat("x", 10_000), deposit{1})
		}, fault: true},
		"cancelled": {do: func(ctx context.Context, w *world) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			handle(ctx, w, deposit{1})
		}},
		"failed": {do: func(ctx context.Context, w *world) {
			w.faults.NextRead(faults.Down)
			handle(ctx, w, deposit{1})
		}, fault: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(otelevolve.Config{Rejection: func(error) string { return "insufficient_funds" }})
			f := faults.Wrap(memory.New(), 1, faults.Rate{})
			tt.do(t.Context(), &world{r, f, r.observed(f.Store())})
			span := the(t, r.ended(), "handle Account")
			if got := value(span.Attributes, "evolve.outcome"); got != name {
				t.Errorf("the outcome of the span is %q, want %q", got, name)
			}
			if got := span.Status.Code == codes.Error; got != tt.fault {
				t.Errorf("the span is an error: %t, want %t", got, tt.fault)
			}
			if got := value(span.Attributes, "evolve.rejection"); (got == "insufficient_funds") != (name == "rejected") {
				t.Errorf("the rejection is %q", got)
			}
			for at, n := range points(t, r.collected(t)["evolve.command.duration"]) {
				if !strings.Contains(at, "command.type=otelevolve_test.") || !strings.Contains(at, "outcome="+name) ||
					!strings.Contains(at, "stream.type=Account") || n != 1 {
					t.Errorf("evolve.command.duration has %v of %s", n, at)
				}
				if strings.Contains(at, "error.type=") != (name == "failed") {
					t.Errorf("evolve.command.duration has %s: only failures have an error.type", at)
				}
			}
		})
	}
}

// TestTrace checks the parents and the attributes of spans.
func TestTrace(t *testing.T) {
	t.Parallel()
	r := newRig(otelevolve.Config{StreamIDs: true})
	st := memory.New()
	run := r.observed(st).WithSnapshots(runner.Snapshots[account, changed]{Store: st, Schema: "1", Every: 1})
	ctx, request := r.tracer.Tracer("test").Start(t.Context(), "POST /deposit")
	if _, err := run.Handle(ctx, "acc-1", deposit{5}); err != nil {
		t.Fatal(err)
	}
	request.End()
	spans := r.ended()
	parents := map[string]string{
		"handle Account": "POST /deposit", "load Account": "handle Account", "read Account": "load Account",
		"append Account": "handle Account",
	}
	for name, parent := range parents {
		if got, want := the(t, spans, name).Parent.SpanID(), the(t, spans, parent).SpanContext.SpanID(); got != want {
			t.Errorf("the parent of %q is not %q", name, parent)
		}
	}
	handle, load, written := the(t, spans, "handle Account"), the(t, spans, "load Account"), the(t, spans, "append Account")
	for key, want := range map[string]string{
		"evolve.stream.type": "Account", "evolve.stream.id": "acc-1", "evolve.command.type": "otelevolve_test.deposit",
		"evolve.outcome": "appended", "evolve.attempts": "1", "evolve.events": "1", "evolve.version": "1",
	} {
		if got := value(handle.Attributes, key); got != want {
			t.Errorf("%s of handle = %q, want %q", key, got, want)
		}
	}
	if got := value(load.Attributes, "evolve.snapshot") + value(load.Attributes, "evolve.events"); got != "none0" {
		t.Errorf("the load has read %s", got)
	}
	for key, want := range map[string]string{
		"evolve.expected": "no stream", "evolve.position": "1", "evolve.outcome": "appended", "evolve.events": "1", "evolve.version": "1",
	} {
		if got := value(written.Attributes, key); got != want {
			t.Errorf("%s of append = %q, want %q", key, got, want)
		}
	}
	page, err := st.Read(t.Context(), store.Stream{Type: "Account", ID: "acc-1"}, store.ReadOptions{})
	if err != nil || len(page.Events) != 1 {
		t.Fatal(page, err)
	}
	origin := trace.SpanContextFromContext(r.FromEvent(context.Background(), &page.Events[0]))
	if origin.SpanID() != handle.SpanContext.SpanID() || origin.TraceID() != handle.SpanContext.TraceID() {
		t.Errorf("the event belongs to the span %v, want the span of handle, %v", origin, handle.SpanContext)
	}
	if _, err := run.Handle(t.Context(), "acc-1", deposit{5}); err != nil {
		t.Fatal(err)
	}
	if got := value(the(t, r.ended(), "load Account").Attributes, "evolve.snapshot"); got != "hit" {
		t.Errorf("the second load has the snapshot %q", got)
	}
}

// TestConflicts checks the span and the metrics of a command that is retried.
func TestConflicts(t *testing.T) {
	t.Parallel()
	r := newRig(otelevolve.Config{})
	f := faults.Wrap(memory.New(), 1, faults.Rate{})
	f.Next(faults.Refuse, faults.Refuse)
	if _, err := r.observed(f.Store()).Handle(t.Context(), "a", deposit{5}); err != nil {
		t.Fatal(err)
	}
	span := the(t, r.ended(), "handle Account")
	var said []string
	for _, e := range span.Events {
		said = append(said, e.Name+" "+value(e.Attributes, "evolve.attempt"))
	}
	if got := strings.Join(said, ", "); got != "conflict 1, retry 2, conflict 2, retry 3" || span.Status.Code == codes.Error {
		t.Errorf("the span has the events %q and the status %v", got, span.Status)
	}
	all := r.collected(t)
	if got := points(t, all["evolve.conflicts"])["stream.type=Account"]; got != 2 {
		t.Errorf("there were %v conflicts, want 2", got)
	}
	attempts, ok := all["evolve.command.attempts"].Data.(metricdata.Histogram[int64])
	if !ok || attempts.DataPoints[0].Sum != 3 {
		t.Errorf("attempts = %+v, want a sum of 3", all["evolve.command.attempts"].Data)
	}
	if got := points(t, all["evolve.append.duration"]); got["outcome=conflict,stream.type=Account"] != 2 || got["outcome=appended,stream.type=Account"] != 1 {
		t.Errorf("appends = %v", got)
	}
}

// slowly waits before each append.
type slowly struct {
	store.Store

	wait time.Duration
}

func (s slowly) Append(ctx context.Context, of store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	time.Sleep(s.wait)
	return s.Store.Append(ctx, of, e, events)
}

// TestUnits checks that a duration of 50 ms is in the bucket that ends at 0.05 s.
func TestUnits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(otelevolve.Config{})
		run := newAccounts(slowly{memory.New(), 50 * time.Millisecond}).WithObserver(r.Runner())
		if _, err := run.Handle(t.Context(), "a", deposit{1}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"evolve.append.duration", "evolve.command.duration"} {
			m := r.collected(t)[name]
			data, ok := m.Data.(metricdata.Histogram[float64])
			if !ok || m.Unit != "s" || len(data.DataPoints) != 1 {
				t.Fatalf("%s is %+v", name, m)
			}
			p := data.DataPoints[0]
			for i, n := range p.BucketCounts {
				if end := append(p.Bounds, 100)[i]; (n == 1) != (end == 0.05) {
					t.Errorf("%s: the bucket up to %v has %d", name, end, n)
				}
			}
		}
	})
}

// TestExemplars checks that a sampled command leaves an exemplar with its trace.
func TestExemplars(t *testing.T) {
	t.Parallel()
	r := newRig(otelevolve.Config{})
	if _, err := r.observed(memory.New()).Handle(t.Context(), "a", deposit{1}); err != nil {
		t.Fatal(err)
	}
	id := the(t, r.ended(), "handle Account").SpanContext.TraceID()
	data, ok := r.collected(t)["evolve.command.duration"].Data.(metricdata.Histogram[float64])
	if !ok || len(data.DataPoints) != 1 || len(data.DataPoints[0].Exemplars) != 1 {
		t.Fatalf("the durations are %+v, want one with an exemplar", data)
	}
	if got := data.DataPoints[0].Exemplars[0].TraceID; string(got) != string(id[:]) {
		t.Errorf("the exemplar is of the trace %x, want %s", got, id)
	}
}

// TestGroup checks the traces of batches: a batch of one command is its child, and any
// other batch has links to its commands.
func TestGroup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(otelevolve.Config{})
		group := runner.NewGroup(newAccounts(r.Store(slowly{memory.New(), time.Second})).WithObserver(r.Runner())).WithContext(r.Group)
		defer group.Close()
		var done sync.WaitGroup
		call := func(cents int64) {
			done.Go(func() {
				if _, err := group.Handle(context.Background(), "a", deposit{cents}); err != nil {
					t.Error(err)
				}
			})
		}
		call(1)
		synctest.Wait() // the first batch is in flight
		call(2)
		call(3)
		done.Wait()
		spans := r.ended()
		commands := map[trace.SpanID]bool{}
		var below, linked int
		for _, s := range spans {
			if s.Name == "handle Account" {
				commands[s.SpanContext.SpanID()] = true
			}
		}
		for _, s := range spans {
			if s.Name != "batch Account" {
				continue
			}
			if commands[s.Parent.SpanID()] && len(s.Links) == 0 {
				below++
			}
			if len(s.Links) == 2 && !s.Parent.IsValid() && commands[s.Links[0].SpanContext.SpanID()] && commands[s.Links[1].SpanContext.SpanID()] {
				linked++
			}
		}
		if len(commands) != 3 || below != 1 || linked != 1 {
			t.Errorf("of %d commands, %d batches are children of one and %d have links to two: %q", len(commands), below, linked, names(spans))
		}
	})
}

// step is an action in the property about the ends of spans.
type step struct {
	cmd   command
	fault faults.Fault
	read  faults.Fault
}

// endsLaw checks that every span that is started ends, whatever happens.
func endsLaw(t *rapid.T, tb rapid.TB, observer func(*rig) runner.Observer) {
	r := newRig(otelevolve.Config{Rejection: func(err error) string {
		if strings.Contains(err.Error(), "3 of") {
			panic("Rejection")
		}
		return ""
	}})
	f := faults.Wrap(memory.New(), 1, faults.Rate{})
	run := newAccounts(r.Store(f.Store())).WithObserver(observer(r)).WithRetry(runner.Retry{Attempts: 3, Jitter: func(time.Duration) time.Duration { return 0 }})
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		cents := rapid.Int64Range(0, 5).Draw(t, "cents")
		return step{
			cmd:   rapid.SampledFrom([]command{deposit{cents}, withdraw{cents}, crash{"bug"}}).Draw(t, "command"),
			fault: rapid.SampledFrom([]faults.Fault{faults.None, faults.Down, faults.Lost, faults.Late, faults.Refuse}).Draw(t, "fault"),
			read:  rapid.SampledFrom([]faults.Fault{faults.None, faults.Down}).Draw(t, "read"),
		}
	}), 1, 8).Draw(t, "steps")
	for _, s := range steps {
		f.Next(s.fault)
		f.NextRead(s.read)
		func() {
			defer func() { _ = recover() }()
			_, _ = run.Handle(context.Background(), "a", s.cmd)
		}()
	}
	r.started.mu.Lock()
	defer r.started.mu.Unlock()
	if len(r.started.open) > 0 {
		tb.Fatalf("after %v these spans have not ended: %v", steps, r.started.open)
	}
}

func TestEverySpanEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { endsLaw(t, t, func(r *rig) runner.Observer { return r.Runner() }) })
}

// forgetful is an observer that does not receive some notices.
type forgetful struct {
	runner.Observer
	runner.Beginner

	forgets func(runner.Notice) bool
}

func (f forgetful) Observe(ctx context.Context, n runner.Notice) {
	if !f.forgets(n) {
		f.Observer.Observe(ctx, n)
	}
}

// secrets is user text that must not occur anywhere.
const secret = "s3cret@example.com"

// TestNothingOfUsers checks that spans and metrics contain no ids, commands, events or
// errors of users, and that they contain ids only if StreamIDs is set.
func TestNothingOfUsers(t *testing.T) {
	t.Parallel()
	for _, ids := range []bool{false, true} {
		t.Run(fmt.Sprint("StreamIDs ", ids), func(t *testing.T) {
			t.Parallel()
			r := newRig(otelevolve.Config{StreamIDs: ids})
			f := faults.Wrap(memory.New(), 1, faults.Rate{Rival: func(context.Context, store.Stream) error { return errors.New(secret) }})
			run := r.observed(f.Store())
			for _, fault := range []faults.Fault{faults.None, faults.Lost, faults.Down, faults.Refuse} {
				f.Next(fault)
				_, _ = run.Handle(t.Context(), secret, deposit{1}, runner.CommandID(secret+fault.String()), runner.MaxAttempts(1))
			}
			func() {
				defer func() { _ = recover() }()
				_, _ = run.Handle(t.Context(), secret, crash{secret})
			}()
			_, _ = run.Handle(t.Context(), secret, withdraw{1_000_000})
			f.NextRead(faults.Down)
			_, _ = run.Load(t.Context(), secret)
			spans := r.ended()
			if len(spans) < 10 {
				t.Fatalf("there are only the spans %q", names(spans))
			}
			for _, s := range spans {
				for i, a := range s.Attributes {
					if ids && string(a.Key) == "evolve.stream.id" {
						s.Attributes[i].Value = s.Attributes[(i+1)%len(s.Attributes)].Value
					}
				}
				if text := fmt.Sprintf("%q %v %v %+v", s.Name, s.Attributes, s.Status, s.Events); strings.Contains(text, secret) {
					t.Errorf("a span reveals: %s", text)
				}
			}
			for _, m := range r.collected(t) {
				if text := fmt.Sprintf("%+v", m); strings.Contains(text, secret) {
					t.Errorf("a metric reveals: %s", text)
				}
			}
		})
	}
}

// TestConcurrently uses one Telemetry from many goroutines.
func TestConcurrently(t *testing.T) {
	t.Parallel()
	r := newRig(otelevolve.Config{})
	run := r.observed(memory.New())
	group := runner.NewGroup(run).WithContext(r.Group)
	var done sync.WaitGroup
	for i := range 64 {
		done.Go(func() {
			for range 10 {
				_, _ = run.Handle(context.Background(), strconv.Itoa(i), deposit{1})
				_, _ = group.Handle(context.Background(), "hot", deposit{1})
			}
			_ = r.collected(t)
		})
	}
	done.Wait()
	group.Close()
	count := 0.0
	for _, n := range points(t, r.collected(t)["evolve.command.duration"]) {
		count += n
	}
	if count != 2*64*10 {
		t.Errorf("%v commands were counted, want %d", count, 2*64*10)
	}
	if len(r.started.open) > 0 {
		t.Errorf("these spans have not ended: %v", r.started.open)
	}
}
