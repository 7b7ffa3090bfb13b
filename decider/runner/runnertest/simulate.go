package runnertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// plan is all that is chosen in a simulation, before it begins.
type plan struct {
	Table   *table // the decider; nil: the account
	Given   []Command
	Clients []client
	Faults  int   // the most there are
	Choices []int // what happens next, one after the other; when they end, 0
}

// client makes calls in a process, one after the other. A call with a command id
// whose outcome is not known is made again.
type client struct {
	Process int
	Calls   []Call
}

// handled is a call that was made.
type handled struct {
	Call
	first, last uint64 // versions of the stream when it began and when it ended
	out         Outcome
	err         error
	gaveUp      bool // its context ended
	shared      bool // the plan has more calls of the same command
}

// simulation lets the clients of a plan run on one store, of whose calls one is
// made at a time: which one, and what goes wrong with it, is for the plan to say.
type simulation struct {
	*trial
	store.Snapshots
	plan

	mu      sync.Mutex
	waiting []*waiting // calls of the store, guarded by mu
	alive   int        // clients, guarded by mu
	cancel  []func()   // of the call that each client is in; nil: in none. Guarded by mu
	calls   []handled  // guarded by mu
	trace   []string   // guarded by mu
	step    int
	options []int // how many there were at each step
	late    int   // appends that are still to land
	slept   bool  // in the last step
	broken  bool  // something went wrong with the store
	over    bool  // nobody waits for a turn any more; guarded by mu
}

var _ store.Store = (*simulation)(nil)

// waiting is a call of the store that waits for its turn.
type waiting struct {
	client int
	append bool
	turn   chan storetest.Fault
}

type clientKey struct{}

// maxSteps is how long a simulation goes on.
const maxSteps = 2000

// simulate runs p in a trial and checks what comes of it. It returns how many
// options there were at each step.
func simulate(t *trial, p plan) []int {
	s := &simulation{trial: t, Snapshots: t.memory, plan: p, alive: len(p.Clients), cancel: make([]func(), len(p.Clients))}
	if p.Table != nil {
		t.decider = p.Table.decider()
	}
	t.TB = traced{t.TB, s}
	t.given(acc, p.Given...)
	processes := map[int]System{}
	for i, c := range p.Clients {
		if processes[c.Process] == nil {
			processes[c.Process] = t.opened(t.open(t.decider, s, format{}))
		}
		go s.run(i, processes[c.Process])
		synctest.Wait()
	}
	for s.next() {
	}
	s.finish()
	t.faults.Land()
	s.wantHistory()
	for _, process := range processes {
		t.wantLoaded(process)
	}
	t.wantLoaded(t.system())
	return s.options
}

// run makes the calls of client i.
func (s *simulation) run(i int, process System) {
	for _, c := range s.Clients[i].Calls {
		for range 3 {
			err := s.handle(i, process, c)
			if err == nil || errors.Is(err, ErrRejected) || c.CommandID == "" {
				break
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive--
}

// handle makes a call of client i.
func (s *simulation) handle(i int, process System, c Call) error {
	ctx, cancel := context.WithCancel(context.WithValue(s.ctx, clientKey{}, i))
	defer cancel()
	s.mu.Lock()
	s.cancel[i] = cancel
	s.mu.Unlock()
	h := handled{Call: c, first: s.head(), shared: s.shared(c)}
	out, err := process.Handle(ctx, c)
	h.out, h.err = out.copied(), err
	out.spoil()
	h.last, h.gaveUp = s.head(), ctx.Err() != nil
	s.mu.Lock()
	s.cancel[i] = nil
	s.calls = append(s.calls, h)
	s.mu.Unlock()
	s.say(i, fmt.Sprintf("%s: %s", h.about(), h.result()))
	return h.err
}

// shared reports whether c is planned more than once.
func (s *simulation) shared(c Call) bool {
	n := 0
	for _, client := range s.Clients {
		for _, other := range client.Calls {
			if other.Command.Tag == c.Command.Tag {
				n++
			}
		}
	}
	return n > 1
}

// head returns the version of the stream.
func (s *simulation) head() uint64 {
	page, err := s.memory.Read(s.ctx, streamOf(acc), store.ReadOptions{Limit: 1})
	if err != nil {
		s.Errorf("read the version of the stream: %v", err)
	}
	return page.Head
}

// next takes one of the options; it is false when all clients are done.
func (s *simulation) next() bool {
	synctest.Wait()
	if s.done() {
		return false
	}
	options := s.possible()
	choice := 0
	if s.step < len(s.Choices) {
		choice = s.Choices[s.step] % len(options)
	}
	s.options = append(s.options, len(options))
	s.step++
	if s.step > maxSteps {
		s.Fatalf("the clients are not done after %d calls of the store", maxSteps)
	}
	options[choice]()
	return true
}

func (s *simulation) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.alive == 0
}

// possible returns what can happen next: first a call without a fault.
func (s *simulation) possible() (options []func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.waiting, func(a, b *waiting) int { return a.client - b.client })
	for _, w := range s.waiting {
		options = append(options, func() { s.grant(w, storetest.None) })
	}
	if len(s.waiting) == 0 || len(s.waiting) < s.alive && !s.slept {
		options = append(options, s.sleep)
	}
	if s.Faults > 0 {
		for _, w := range s.waiting {
			options = append(options, func() { s.grant(w, storetest.Down) })
			if w.append {
				options = append(options,
					func() { s.grant(w, storetest.Lost) }, func() { s.grant(w, storetest.Late) })
			}
		}
	}
	if s.late > 0 {
		options = append(options, s.land)
	}
	for i, cancel := range s.cancel {
		if cancel != nil && s.Faults > 0 {
			options = append(options, func() { s.giveUp(i, cancel) })
		}
	}
	return options
}

// giveUp ends the context of the call that client i is in.
func (s *simulation) giveUp(i int, cancel func()) {
	s.Faults--
	s.broken = true
	s.say(i, "gives up")
	cancel()
}

// finish lets go on what the clients have not waited for.
func (s *simulation) finish() {
	s.mu.Lock()
	left := s.waiting
	s.over, s.waiting = true, nil
	s.mu.Unlock()
	for _, w := range left {
		w.turn <- storetest.None
	}
	synctest.Wait()
}

// sleep lets time pass until everybody who paused is back.
func (s *simulation) sleep() {
	time.Sleep(time.Minute)
	s.slept = true
}

func (s *simulation) land() {
	s.faults.Land()
	s.late = 0
	s.say(-1, "what was late lands")
}

// grant lets w go on, with a fault.
func (s *simulation) grant(w *waiting, fault storetest.Fault) {
	s.slept = false
	if fault != storetest.None {
		s.Faults--
		s.broken = true
	}
	if fault == storetest.Late {
		s.late++
	}
	s.leave(w)
	w.turn <- fault
}

// leave ends the waiting of w.
func (s *simulation) leave(w *waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o *waiting) bool { return o == w })
}

// turn waits until a call of the store is to be made.
func (s *simulation) turn(ctx context.Context, isAppend bool) (client int, fault storetest.Fault, err error) {
	client, ok := ctx.Value(clientKey{}).(int)
	if !ok {
		client = len(s.Clients)
	}
	w := &waiting{client, isAppend, make(chan storetest.Fault)}
	s.mu.Lock()
	over := s.over
	if !over {
		s.waiting = append(s.waiting, w)
	}
	s.mu.Unlock()
	if over {
		return client, storetest.None, nil
	}
	select {
	case fault = <-w.turn:
		return client, fault, nil
	case <-ctx.Done():
		s.leave(w)
		return client, storetest.None, ctx.Err()
	}
}

// Append is store.Store.Append, when it is its turn.
func (s *simulation) Append(
	ctx context.Context, stream store.Stream, e store.Expected, events []store.Event,
) (store.Appended, error) {
	client, fault, err := s.turn(ctx, true)
	if err != nil {
		return store.Appended{}, err
	}
	s.faults.Next(fault)
	appended, err := s.faults.Append(ctx, stream, e, events)
	s.say(client, fmt.Sprintf("append %d events at %s: %s", len(events), e, answer(appended.Version, err)))
	return appended, err
}

// Read is store.Store.Read, when it is its turn.
func (s *simulation) Read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	client, fault, err := s.turn(ctx, false)
	if err != nil {
		return store.Page{}, err
	}
	s.faults.NextRead(fault)
	page, err := s.faults.Read(ctx, stream, o)
	s.say(client, fmt.Sprintf("read from %d: %s", o.From, answer(page.Head, err)))
	return page, err
}

func answer(version uint64, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("version %d", version)
}

// say adds a line to the trace.
func (s *simulation) say(client int, what string) {
	name := strings.Repeat("        ", max(client, 0))
	if client >= 0 {
		name += "ABCDEFGH"[client : client+1]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trace = append(s.trace, fmt.Sprintf("%3d  %s  %s", len(s.trace)+1, name, what))
}

// traced is a TB that says what happened until then.
type traced struct {
	TB
	simulation *simulation
}

// Errorf is TB.Errorf with the trace.
func (t traced) Errorf(format string, args ...any) {
	t.Helper()
	t.TB.Errorf(format+"\n%s", append(args, t.simulation.story())...)
}

// Fatalf is TB.Fatalf with the trace.
func (t traced) Fatalf(format string, args ...any) {
	t.Helper()
	t.TB.Fatalf(format+"\n%s", append(args, t.simulation.story())...)
}

func (s *simulation) story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.trace, "\n")
}
