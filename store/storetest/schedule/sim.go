package schedule

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/history"
)

// Sim runs one schedule of a scenario. It lets the clients make one call at a time;
// [Explore] or [Simulate] chooses the next call, and its fault if any. It is safe for
// concurrent use.
type Sim struct {
	choose chooser
	seed   uint64
	random *rand.Rand
	limits Limits
	left   int // number of faults that may still happen

	stores  []*Store
	clients []simClient
	groups  int
	then    []func()

	mu       sync.Mutex
	waiting  []*waiting // calls that wait for their turn; guarded by mu
	strange  int        // number of calls so far that belong to no client; guarded by mu
	alive    int        // number of clients that have not ended; guarded by mu
	lines    []moment   // guarded by mu
	failures []string   // guarded by mu
	running  bool       // calls wait for their turn now; guarded by mu
	changed  bool       // whether the last step changed a store; guarded by mu
	opened   int        // number of running transactions, which may keep others waiting; guarded by mu
	taken    []taken
	faulted  int
	late     int  // number of appends that have not landed yet
	slept    bool // whether time passed in the last step
}

// simClient is a client of a Sim.
type simClient struct {
	do    func(ctx context.Context)
	group int // the group of clients that share memory
	after int // the previous client that is alike, which begins first; or -1

	begun    bool
	calls    int    // number of calls so far; guarded by Sim.mu
	patience func() // ends the context of a client that may give up; guarded by Sim.mu
}

// taken is a step: the choice, and the number of options.
type taken struct {
	choice, of int
	done
}

// waiting is a call that waits for its turn.
type waiting struct {
	client int // calls without a client come after all others
	call   int // number of the call among the client's calls
	kind   kind
	turn   chan faults.Fault
}

// kind is the kind of a call. It determines which faults the call can have.
type kind int

const (
	reading kind = iota
	appending
	updating
	calling
)

// can reports whether a call of kind k can have this fault.
func (k kind) can(fault faults.Fault) bool {
	switch fault {
	case faults.Down:
		return true
	case faults.Lost:
		return k != reading
	case faults.Late:
		return k == appending
	case faults.Undone:
		return k == updating
	case faults.None, faults.Slow, faults.Refuse:
	}
	return false
}

// moment is a line of the story: a client's call and its result, or something that
// happened to all clients.
type moment struct {
	client int
	parts  []any // an Op or a string, followed by strings
}

// everybody is the client of a line or step that belongs to no client.
const everybody = -2

// maxSteps is the number of steps after which a schedule is considered endless.
const maxSteps = 2000

// Store returns st as a store whose calls wait for their turn. Any call may be
// [faults.Down], and an append may also be [faults.Lost] or [faults.Late]. Calls that
// scene itself makes do not wait.
func (s *Sim) Store(st store.Store) *Store {
	f := faults.Wrap(watched{st, s}, 1, faults.Rate{})
	w := &Store{sim: s, inner: st, faults: f, recorder: history.Record(f)}
	w.recorder.OnReturn(s.told)
	s.stores = append(s.stores, w)
	return w
}

// Client adds a client, which begins when scene has returned. A call belongs to the
// client if its context is ctx, or is derived from it; see [history.WithClient]. The
// first client has number 0.
//
// Clients that are added by different calls of Client must share nothing but the stores
// of the Sim. Reading a store changes nothing, so [Explore] tries two reads in one
// order only. Add clients that share memory, such as a runner with a cache, by one
// call. If such clients wake up at the same moment, or start goroutines of their own,
// the Sim does not control which of them continues first, and Explore sees only one of
// the outcomes.
func (s *Sim) Client(do ...func(ctx context.Context)) {
	for _, do := range do {
		s.clients = append(s.clients, simClient{do: do, group: s.groups, after: -1})
	}
	s.groups++
}

// Alike adds n clients that do the same, each as if by its own call of Client.
// [Explore] skips a schedule that differs from another one only in the names of these
// clients.
func (s *Sim) Alike(n int, do func(ctx context.Context)) {
	for i := range n {
		s.Client(do)
		if last := len(s.clients) - 1; i > 0 {
			s.clients[last].after = last - 1
		}
	}
}

// Then adds a function that runs when all clients are done and all late appends have
// landed, to check the outcome. Its calls do not wait.
func (s *Sim) Then(do func()) { s.then = append(s.then, do) }

// Random returns random numbers for scene. They depend on the seed of [Simulate], and
// are the same for all schedules of [Explore].
func (s *Sim) Random() *rand.Rand { return s.random }

// Faulted returns the number of faults so far.
func (s *Sim) Faulted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faulted
}

// Patience returns a context that the Sim may cancel, as a fault, until you call end.
// You must call end. The client of ctx can have one such context at a time.
func (s *Sim) Patience(ctx context.Context) (patient context.Context, end func()) {
	patient, cancel := context.WithCancel(ctx)
	i := history.ClientOf(ctx)
	if i < 0 {
		s.Fatalf("Patience needs the context of a client")
	}
	client := &s.clients[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	client.patience = cancel
	return patient, func() {
		s.mu.Lock()
		client.patience = nil
		s.mu.Unlock()
		cancel()
	}
}

// Sayf adds a remark by the client of ctx to the story.
func (s *Sim) Sayf(ctx context.Context, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := len(s.lines) - 1; i >= 0 && s.lines[i].client == history.ClientOf(ctx) {
		s.lines[i].parts = append(s.lines[i].parts, text)
		return
	}
	s.say(history.ClientOf(ctx), text)
}

// say adds a line. The caller holds mu.
func (s *Sim) say(client int, what any) {
	s.lines = append(s.lines, moment{client, []any{what}})
}

// told adds a line for a call. A call without a client is added only if it is an
// append, because other such calls only inspect the outcome.
func (s *Sim) told(op history.Op) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op.Expected != 0 || s.running {
		s.say(op.Client, op)
	}
}

// Story returns what has happened so far, with one line for each step.
func (s *Sim) Story() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := make([]string, len(s.lines))
	for i, m := range s.lines {
		text[i] = fmt.Sprintf("%4d  %s", i+1, m)
	}
	return strings.Join(text, "\n")
}

// String returns the call of m and its result.
func (m moment) String() string {
	text := make([]string, len(m.parts))
	for i, part := range m.parts {
		if op, ok := part.(history.Op); ok {
			part = op.String()
		}
		text[i] = fmt.Sprint(part)
	}
	who := ""
	if _, ok := m.parts[0].(history.Op); !ok {
		who = "  "
		if m.client != everybody {
			who = history.ClientName(m.client) + " "
		}
	}
	return who + strings.Join(text, "; ")
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
	for i := range s.clients {
		go func() {
			defer s.gone()
			s.clients[i].do(history.WithClient(ctx, i))
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
