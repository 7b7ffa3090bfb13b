package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store"
)

// Sim is one schedule of a scenario: clients whose calls of stores are made one at a
// time. Which is next, and what goes wrong with it, is chosen by [Explore] or
// [Simulate]. It is safe for concurrent use.
type Sim struct {
	choose func(step, n int) int
	seed   uint64
	random *rand.Rand
	limits Limits
	left   int // faults that can still happen

	stores  []*simStore
	clients []func(ctx context.Context)
	then    []func()

	mu       sync.Mutex
	waiting  []*waiting     // calls of stores, guarded by mu
	alive    int            // clients, guarded by mu
	patience map[int]func() // what ends the context of each client that may give up, guarded by mu
	lines    []string       // guarded by mu
	failures []string       // guarded by mu
	running  bool           // calls wait for their turn; guarded by mu
	taken    []taken
	last     move
	faulted  int
	late     int  // appends that are still to land
	slept    bool // in the last step
}

// taken is the choice of a step, one of so many.
type taken struct{ choice, of int }

// waiting is a call of a store that waits for its turn.
type waiting struct {
	client int
	append bool
	since  int // how many steps there had been
	turn   chan Fault
}

// move is what a step does, so that steps are not tried in two orders that make no
// difference: next to each other, steps that do not depend on each other are tried
// only in the order of their clients, if both could have been first.
type move struct {
	client int
	does   effect
}

type effect int

const (
	nothing   effect = iota // an answer that is lost with its call
	reads                   // the stores
	postpones               // an append
	changes                 // the stores, or what the clients do
)

func (e effect) dependsOn(o effect) bool {
	return e == changes && o != nothing || o == changes && e != nothing || e == postpones && o == postpones
}

func (w *waiting) effect(f Fault) effect {
	switch {
	case f == Down:
		return nothing
	case f == Late:
		return postpones
	case w.append:
		return changes
	}
	return reads
}

// maxSteps is when a schedule does not end.
const maxSteps = 2000

// Store returns st as a store whose calls wait for their turn. They may be [Down],
// and appends [Lost] and [Late]. Calls while the scene is set do not wait.
func (s *Sim) Store(st store.Store) *Recorder {
	w := &simStore{sim: s, inner: st, faults: Faults(st, 1, Rate{})}
	w.recorder = Record(turns{w})
	s.stores = append(s.stores, w)
	return w.recorder
}

// Client adds a client, which begins when the scene is set. Its calls are those
// under ctx or a context made from it; see [WithClient]. The first is client 0.
func (s *Sim) Client(do func(ctx context.Context)) { s.clients = append(s.clients, do) }

// Then adds what is done when all clients are done, and what is late has landed, such as
// looking for what is wrong with the outcome. Calls of stores do not wait then.
func (s *Sim) Then(do func()) { s.then = append(s.then, do) }

// Random returns random numbers of which each seed of [Simulate] has its own, and
// which are the same for all schedules of [Explore].
func (s *Sim) Random() *rand.Rand { return s.random }

// Faulted returns how much has gone wrong so far.
func (s *Sim) Faulted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faulted
}

// Patience returns a context that may be canceled, as a fault, until end is called,
// which must be: a client of ctx can have one at a time.
func (s *Sim) Patience(ctx context.Context) (patient context.Context, end func()) {
	patient, cancel := context.WithCancel(ctx)
	client := clientOf(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.patience == nil {
		s.patience = map[int]func(){}
	}
	s.patience[client] = cancel
	return patient, func() {
		s.mu.Lock()
		delete(s.patience, client)
		s.mu.Unlock()
		cancel()
	}
}

// Sayf adds to the story what the client of ctx has come to.
func (s *Sim) Sayf(ctx context.Context, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.say(clientOf(ctx), "; ", fmt.Sprintf(format, args...))
}

// say adds to the last line, if that is about the same client, or else a line. It
// needs mu.
func (s *Sim) say(client int, joint, what string) {
	who := clientName(client)
	if i := len(s.lines) - 1; joint != "" && i >= 0 && strings.HasPrefix(s.lines[i], who+" ") {
		s.lines[i] += joint + what
		return
	}
	s.lines = append(s.lines, who+" "+what)
}

// Story says what has happened so far, a line for each step.
func (s *Sim) Story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for i, line := range s.lines {
		fmt.Fprintf(&text, "%4d  %s\n", i+1, line)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// play runs the schedule.
func (s *Sim) play(scene func(s *Sim)) {
	ctx, cancel := context.WithTimeout(context.Background(), 1000*time.Hour)
	defer cancel()
	defer func() {
		for _, then := range s.then {
			then()
		}
	}()
	defer s.finish()
	scene(s)
	s.mu.Lock()
	s.alive, s.running = len(s.clients), true
	s.mu.Unlock()
	for i, do := range s.clients {
		go func() {
			defer s.gone()
			do(WithClient(ctx, i))
		}()
		synctest.Wait()
	}
	for s.step() {
	}
	s.finish()
	for _, st := range s.stores {
		st.faults.Land()
		st.check(ctx)
	}
}

func (s *Sim) gone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alive--
}

// step takes one of the options; it is false when all clients are done.
func (s *Sim) step() bool {
	synctest.Wait()
	options := s.options()
	if len(options) == 0 {
		return false
	}
	if len(s.taken) == maxSteps {
		s.Fatalf("the clients are not done after %d steps", maxSteps)
	}
	fresh := slices.DeleteFunc(slices.Clone(options), func(o option) bool { return o.early })
	if len(fresh) == 0 { // this schedule is another one in another order
		fresh = options[:1]
	}
	choice := s.choose(len(s.taken), len(fresh))
	s.mu.Lock()
	s.taken = append(s.taken, taken{choice, len(fresh)})
	s.mu.Unlock()
	s.slept = false
	s.last = fresh[choice].move
	fresh[choice].do()
	return true
}

// option is what can happen next.
type option struct {
	move
	do    func()
	early bool // it would have been tried before the last step
}

// options returns what can happen next: first a call without a fault.
func (s *Sim) options() (options []option) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive == 0 {
		return nil
	}
	grant := func(w *waiting, fault Fault) {
		next := move{w.client, w.effect(fault)}
		early := w.since < len(s.taken) && w.client < s.last.client && !next.does.dependsOn(s.last.does)
		options = append(options, option{next, func() { s.grant(w, fault) }, early})
	}
	other := func(client int, do func()) {
		options = append(options, option{move{client, changes}, do, false})
	}
	slices.SortStableFunc(s.waiting, func(a, b *waiting) int { return a.client - b.client })
	for _, w := range s.waiting {
		grant(w, None)
	}
	if len(s.waiting) == 0 || len(s.waiting) < s.alive && !s.slept {
		other(-1, s.sleep)
	}
	if s.late > 0 {
		other(-1, s.land)
	}
	if s.left == 0 {
		return options
	}
	for _, w := range s.waiting {
		for _, fault := range s.limits.kinds() {
			if w.append || fault == Down {
				grant(w, fault)
			}
		}
	}
	for i := range s.clients {
		if cancel := s.patience[i]; cancel != nil {
			other(i, func() { s.giveUp(i, cancel) })
		}
	}
	return options
}

// grant lets w go on, with a fault.
func (s *Sim) grant(w *waiting, fault Fault) {
	if fault != None {
		s.fault()
	}
	if fault == Late {
		s.late++
	}
	s.leave(w)
	w.turn <- fault
}

func (s *Sim) fault() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left--
	s.faulted++
}

// sleep lets time pass until everybody who paused is back.
func (s *Sim) sleep() {
	time.Sleep(time.Minute)
	s.slept = true
}

func (s *Sim) land() {
	for _, st := range s.stores {
		st.faults.Land()
	}
	s.late = 0
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, "  what was late lands")
}

// giveUp ends the context of client i.
func (s *Sim) giveUp(i int, cancel func()) {
	s.fault()
	s.mu.Lock()
	s.say(i, "", "gives up")
	s.mu.Unlock()
	cancel()
}

// finish lets go on what the clients have not waited for.
func (s *Sim) finish() {
	s.mu.Lock()
	left := s.waiting
	s.running, s.waiting = false, nil
	s.mu.Unlock()
	for _, w := range left {
		w.turn <- None
	}
	synctest.Wait()
}

// leave ends the waiting of w.
func (s *Sim) leave(w *waiting) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(o *waiting) bool { return o == w })
}

// turn waits until a call of a store is to be made, and says with which fault.
func (s *Sim) turn(ctx context.Context, isAppend bool) (Fault, error) {
	client := clientOf(ctx)
	if client < 0 {
		client = len(s.clients)
	}
	w := &waiting{client: client, append: isAppend, turn: make(chan Fault)}
	s.mu.Lock()
	w.since = len(s.taken)
	running := s.running
	if running {
		s.waiting = append(s.waiting, w)
	}
	s.mu.Unlock()
	if !running {
		return None, ctx.Err()
	}
	select {
	case fault := <-w.turn:
		return fault, nil
	case <-ctx.Done():
		s.leave(w)
		return None, ctx.Err()
	}
}

// simStore is a store of a Sim.
type simStore struct {
	sim      *Sim
	inner    store.Store
	faults   *Faulty
	recorder *Recorder
}

// check checks the history of each stream.
func (st *simStore) check(ctx context.Context) {
	seen := map[store.Stream]bool{}
	for _, op := range st.recorder.Ops() {
		if seen[op.Stream] || op.Stream.Validate() != nil {
			continue
		}
		seen[op.Stream] = true
		h, err := st.recorder.History(ctx, st.inner, op.Stream)
		if err == nil {
			err = CheckStream(h)
		}
		if err != nil {
			st.sim.Errorf("%v", err)
		}
	}
}

// turns is the calls of a store of a Sim, each when it is its turn.
type turns struct{ *simStore }

var _ store.Store = turns{}

// Append is store.Store.Append, when it is its turn.
func (t turns) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	fault, err := t.sim.turn(ctx, true)
	if err != nil {
		return store.Appended{}, err
	}
	t.faults.Next(fault)
	appended, err := t.faults.Append(ctx, s, e, events)
	t.told(ctx, &Op{Return: 1, Expected: e, IDs: make([]string, len(events)), Appended: appended, Err: err})
	return appended, err
}

// Read is store.Store.Read, when it is its turn.
func (t turns) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	fault, err := t.sim.turn(ctx, false)
	if err != nil {
		return store.Page{}, err
	}
	t.faults.NextRead(fault)
	page, err := t.faults.Read(ctx, s, o)
	t.told(ctx, &Op{Return: 1, Read: o, Page: page, Err: err})
	return page, err
}

func (t turns) told(ctx context.Context, op *Op) {
	t.sim.mu.Lock()
	defer t.sim.mu.Unlock()
	if op.Expected == 0 && !t.sim.running {
		return // somebody looks at what has come of it
	}
	t.sim.say(clientOf(ctx), "", op.what()+": "+op.result())
}
