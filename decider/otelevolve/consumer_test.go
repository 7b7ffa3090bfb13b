package otelevolve_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/otelevolve"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// move is a change of an account.
type move struct {
	Account string
	Cents   int64
}

func moves() codec.Source[move] {
	return codec.Events(codec.From("Account", events(), func(r *store.Recorded, e changed) move {
		return move{r.Stream.ID, e.Cents}
	}))
}

// newBalances returns a projection that fails at 13 cents.
func newBalances(st *memory.Store) *projection.Projection[*memory.Tx, move] {
	return projection.New(st, st, "balances", moves(), func(_ context.Context, _ *memory.Tx, e projection.Event[move]) error {
		if e.Event.Cents == 13 {
			return projection.Permanent(errors.New(secret))
		}
		return nil
	}).WithParking(10)
}

// running runs something in the bubble of t, until stop is called.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = run(ctx)
	}()
	synctest.Wait()
	return func() {
		cancel()
		<-done
	}
}

// TestProjection checks the spans of transactions, their links, and the metrics.
func TestProjection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(otelevolve.Config{})
		st := memory.New()
		run := r.observed(st)
		for range 3 { // history has no links
			if _, err := run.Handle(t.Context(), "a", deposit{1}); err != nil {
				t.Fatal(err)
			}
		}
		r.ended()
		balances := newBalances(st).WithObserver(r.Projection())
		stopWatch := r.WatchProjection(balances)
		stop := running(t, balances.Run)
		time.Sleep(time.Second)
		history := the(t, r.ended(), "process balances@1")
		if value(history.Attributes, "evolve.rebuild") != "true" || len(history.Links) != 0 || value(history.Attributes, "messaging.batch.message_count") != "3" {
			t.Errorf("the span of history has the attributes %v and %d links", history.Attributes, len(history.Links))
		}

		ctx, caller := r.tracer.Tracer("test").Start(t.Context(), "POST /deposit")
		out, err := run.Handle(ctx, "a", deposit{5})
		if err != nil {
			t.Fatal(err)
		}
		caller.End()
		if err := balances.WaitFor(t.Context(), out.Position); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		spans := r.ended()
		handled, batch := the(t, spans, "handle Account"), the(t, spans, "process balances@1")
		if batch.Parent.IsValid() || batch.SpanKind != trace.SpanKindConsumer || len(batch.Links) != 1 ||
			batch.Links[0].SpanContext.SpanID() != handled.SpanContext.SpanID() {
			t.Errorf("the batch has the parent %v, the kind %v and the links %v; want one to %v",
				batch.Parent, batch.SpanKind, batch.Links, handled.SpanContext)
		}
		for key, want := range map[string]string{
			"messaging.system": "evolve", "messaging.operation.type": "process", "messaging.consumer.group.name": "balances@1",
			"messaging.batch.message_count": "1", "evolve.position": "4", "evolve.lag": "0", "evolve.rebuild": "false",
		} {
			if got := value(batch.Attributes, key); got != want {
				t.Errorf("%s = %q, want %q", key, got, want)
			}
		}
		checkParked(t, r, run)
		stopWatch()
		stopWatch()
		if m, ok := r.collected(t)["evolve.projection.lag"]; ok {
			t.Errorf("a projection that is no longer watched is measured: %v", points(t, m))
		}
		stop()
		if len(r.started.open) > 0 {
			t.Errorf("these spans have not ended: %v", r.started.open)
		}
	})
}

// checkParked parks a key, and checks the metrics.
func checkParked(t *testing.T, r *rig, run *accounts) {
	t.Helper()
	if _, err := run.Handle(t.Context(), "b", deposit{13}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	faulty := 0
	for _, s := range r.ended() {
		if strings.HasPrefix(s.Name, "process") && s.Status.Code == codes.Error {
			faulty++
			if text := fmt.Sprint(s.Status, s.Attributes, s.Events); strings.Contains(text, secret) {
				t.Errorf("a span reveals: %s", text)
			}
		}
	}
	if faulty == 0 {
		t.Error("no span says that a batch failed")
	}
	all := r.collected(t)
	for metric, want := range map[string]map[string]float64{
		"evolve.projection.events":    {"projection=balances@1,result=applied": 4, "projection=balances@1,result=parked": 1},
		"evolve.projection.takeovers": {"projection=balances@1": 1},
		"evolve.projection.parked":    {"projection=balances@1": 1},
		"evolve.projection.lag":       {"projection=balances@1": 0},
		"evolve.projection.lag.time":  {"projection=balances@1": 0},
		"evolve.projection.state":     {"projection=balances@1,state=live": 1},
	} {
		if got := points(t, all[metric]); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s = %v, want %v", metric, got, want)
		}
	}
	if got := points(t, all["evolve.projection.failures"])["projection=balances@1,reason=event"]; got < 1 {
		t.Errorf("%v failures", got)
	}
}

// TestFarBehind checks that a batch that is far behind has no links, even if the
// projection was live before.
func TestFarBehind(t *testing.T) {
	t.Parallel()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	for behind, links := range map[uint64]int{0: 1, 10_000: 1, 10_001: 0} {
		r := newRig(otelevolve.Config{})
		e := &store.Recorded{Event: store.Event{Meta: r.Metadata(nil)(trace.ContextWithSpanContext(t.Context(), span))}}
		o, ok := r.Projection().(projection.Beginner)
		if !ok {
			t.Fatal("the observer makes no spans")
		}
		n := projection.Notice{Kind: projection.BatchApplied, Build: "balances@1", Position: 5, Head: 5 + behind, Events: 1, Live: true}
		ctx := o.Begin(t.Context(), n, func(yield func(*store.Recorded) bool) { yield(e) })
		r.Projection().Observe(ctx, n)
		got := the(t, r.ended(), "process balances@1")
		if len(got.Links) != links || value(got.Attributes, "evolve.rebuild") != strconv.FormatBool(links == 0) ||
			value(got.Attributes, "evolve.lag") != strconv.FormatUint(behind, 10) {
			t.Errorf("%d behind: %d links, %v", behind, len(got.Links), got.Attributes)
		}
	}
}

// TestLinksAreBounded checks that a batch has links to at most 128 commands, and to each
// once.
func TestLinksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(otelevolve.Config{})
		st := memory.New()
		balances := newBalances(st).WithObserver(r.Projection())
		stop := running(t, balances.Run)
		time.Sleep(time.Second)
		stop() // it was live before
		run := r.observed(st)
		for i := range 200 {
			if _, err := run.Handle(t.Context(), fmt.Sprint("a", i), deposit{1}); err != nil {
				t.Fatal(err)
			}
		}
		r.ended()
		defer running(t, balances.Run)()
		time.Sleep(time.Second)
		most := 0
		for _, s := range r.ended() {
			if s.Name == "process balances@1" {
				most = max(most, len(s.Links))
				seen := map[trace.SpanID]bool{}
				for _, l := range s.Links {
					seen[l.SpanContext.SpanID()] = true
				}
				if len(seen) != len(s.Links) {
					t.Errorf("of %d links %d are distinct", len(s.Links), len(seen))
				}
			}
		}
		if most != 128 {
			t.Errorf("the most links of a batch are %d, want 128", most)
		}
	})
}

// echo is a process that answers each change with two commands at once, and one later.
func echo() decider.Process[move, int, string] {
	return decider.Process[move, int, string]{
		Key:    func(m move) (string, bool) { return m.Account, true },
		Evolve: func(n int, _ move) int { return n + 1 },
		React: func(n int, m move) (r decider.Reaction[string, move]) {
			r.Send = []string{fmt.Sprint("one ", n), fmt.Sprint("two ", n)}
			if m.Cents == 60 {
				r.Later = []decider.Timer[move]{{Name: "t", After: time.Minute, Event: move{Account: m.Account, Cents: 1}}}
			}
			return r
		},
	}
}

// processed runs echo until it has handled the events that do appends, and returns the
// spans.
func processed(t *testing.T, c otelevolve.Config, do func(ctx context.Context, run *accounts), send process.Send[string]) (*rig, tracetest.SpanStubs) {
	t.Helper()
	r := newRig(c)
	st := memory.New()
	timers := codec.JSON(map[string]move{"Moved": {}})
	echoes := process.New(st, st, "Echo", echo(), moves()).WithTimers(timers).WithObserver(r.Process())
	defer r.WatchProcess(echoes)()
	replies := newAccounts(r.Store(st)).WithObserver(r.Runner()).WithMetadata(r.Metadata(nil))
	if send == nil {
		send = process.To(replies, func(string) (string, command) { return "reply", deposit{0} })
	}
	stop := running(t, func(ctx context.Context) error { return echoes.Run(ctx, send) })
	do(t.Context(), r.observed(st))
	time.Sleep(2 * time.Minute)
	all := r.collected(t)
	if got := points(t, all["evolve.process.state"]); got["process=Echo@1,state=live"] != 1 {
		t.Errorf("the state is %v", got)
	}
	stop()
	if len(r.started.open) > 0 {
		t.Errorf("these spans have not ended: %v", r.started.open)
	}
	return r, r.ended()
}

// TestProcess checks that a reaction has a link to the command that caused it, also two
// steps later, and that its commands are child spans.
func TestProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, spans := processed(t, otelevolve.Config{}, func(ctx context.Context, run *accounts) {
			if _, err := run.Handle(ctx, "a", deposit{60}); err != nil {
				t.Fatal(err)
			}
		}, nil)
		var first tracetest.SpanStub
		reactions := map[trace.SpanID]bool{}
		for _, s := range spans {
			if s.Name == "handle Account" && value(s.Attributes, "evolve.outcome") == "appended" {
				first = s
			}
			if s.Name == "react Echo@1" {
				reactions[s.SpanContext.SpanID()] = true
			}
		}
		below := 0
		for _, s := range spans {
			switch {
			case s.Name == "handle Account" && reactions[s.Parent.SpanID()]:
				below++
			case s.Name == "react Echo@1":
				if s.Parent.IsValid() || s.SpanKind != trace.SpanKindConsumer || len(s.Links) != 1 ||
					s.Links[0].SpanContext.SpanID() != first.SpanContext.SpanID() {
					t.Errorf("a reaction has the parent %v and the links %v, want one to %v", s.Parent, s.Links, first.SpanContext)
				}
				if value(s.Attributes, "messaging.message.id") == "" || value(s.Attributes, "evolve.commands") != "2" ||
					value(s.Attributes, "evolve.instance") != "" {
					t.Errorf("a reaction has the attributes %v", s.Attributes)
				}
			}
		}
		if len(reactions) != 2 || below != 4 { // to the event, and to the timer
			t.Errorf("%d reactions, and %d commands below them; want 2 and 4: %q", len(reactions), below, names(spans))
		}
	})
}

// TestNestWithin checks that the reaction to a young event is part of its trace, and that
// the reaction to an old one is not.
func TestNestWithin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, spans := processed(t, otelevolve.Config{NestWithin: time.Second, StreamIDs: true}, func(ctx context.Context, run *accounts) {
			if _, err := run.Handle(ctx, "a", deposit{1}); err != nil {
				t.Fatal(err)
			}
		}, nil)
		reaction := the(t, spans, "react Echo@1")
		if !reaction.Parent.IsRemote() || len(reaction.Links) != 1 || reaction.Parent.SpanID() != reaction.Links[0].SpanContext.SpanID() {
			t.Errorf("the reaction has the parent %v and the links %v, want the same", reaction.Parent, reaction.Links)
		}
		if got := value(reaction.Attributes, "evolve.instance"); got != "a" {
			t.Errorf("the instance is %q", got)
		}
		old := otelevolve.Config{NestWithin: time.Second, Now: func() time.Time { return time.Now().Add(time.Hour) }}
		_, spans = processed(t, old, func(ctx context.Context, run *accounts) {
			if _, err := run.Handle(ctx, "a", deposit{1}); err != nil {
				t.Fatal(err)
			}
		}, nil)
		if reaction := the(t, spans, "react Echo@1"); reaction.Parent.IsValid() || len(reaction.Links) != 1 {
			t.Errorf("the reaction to an old event has the parent %v", reaction.Parent)
		}
	})
}

// TestProcessFails checks the span and the metrics of reactions that fail.
func TestProcessFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, spans := processed(t, otelevolve.Config{}, func(ctx context.Context, run *accounts) {
			for _, id := range []string{"a", "b"} {
				if _, err := run.Handle(ctx, id, deposit{1}); err != nil {
					t.Fatal(err)
				}
			}
		}, func(_ context.Context, c process.Command[string]) error {
			switch {
			case c.Instance == "b":
				return nil
			case strings.HasPrefix(c.Command, "one"):
				return nil
			}
			panic(secret)
		})
		faulty := 0
		for _, s := range spans {
			if s.Name == "react Echo@1" && s.Status.Code == codes.Error {
				faulty++
				if text := fmt.Sprint(s.Status, s.Attributes, s.Events); strings.Contains(text, secret) {
					t.Errorf("a span reveals: %s", text)
				}
			}
		}
		all := r.collected(t)
		got := points(t, all["evolve.process.reactions"])
		if faulty == 0 || got["outcome=failed,process=Echo@1"] != float64(faulty) || got["outcome=reacted,process=Echo@1"] != 1 {
			t.Errorf("%d spans are errors, and the reactions are %v", faulty, got)
		}
		if got := points(t, all["evolve.process.commands"]); got["process=Echo@1"] != 2 {
			t.Errorf("the commands are %v", got)
		}
	})
}
