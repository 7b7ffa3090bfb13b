package runnertest

import (
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/faults"
)

// Claiming is a [System] that claims unique keys together with events, if the store is a
// store.Claims. A system without claims need not be Claiming.
type Claiming interface {
	// Claim makes the system claim and release the keys that claims returns for each
	// event of the aggregate id. It is called at most once, before anything else. Claims
	// may panic, like any user function.
	Claim(claims func(id string, e Event) []store.Claim)
}

// keyOf is the key that the events of the command with tag claim.
func keyOf(tag string) string { return "tag:" + tag }

// claim makes s claim a key for the tag of each event. It reports whether s supports
// claims.
func (u userFunctions) claim(s System) bool {
	c, ok := s.(Claiming)
	if ok {
		c.Claim(func(_ string, e Event) []store.Claim {
			if err := u.touch("Claims", e); err != nil {
				panic(err)
			}
			return []store.Claim{{Key: keyOf(e.Tag)}}
		})
	}
	return ok
}

// wantHolder checks which stream holds the key of tag.
func (t *trial) wantHolder(tag, id string) {
	t.Helper()
	s, ok, err := t.memory.Holder(t.ctx, keyOf(tag))
	if err != nil || ok != (id != "") || s.ID != id {
		t.Errorf("the key of the command %s is held by %q, %v, want %q", tag, s.ID, err, id)
	}
}

// Each event claims its keys when it is recorded, also after a conflict and by a runner
// that sends it again. A command whose key another stream holds is refused at once, and
// leaves nothing behind.
func claimsTaken(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	held := []store.Claim{{Key: keyOf("taken")}}
	e, err := format{}.Encode(Event{What: opened, Tag: "other"})
	if e.ID = store.NewID(); err == nil {
		_, err = t.memory.AppendClaiming(t.ctx, streamOf("acc-2"), store.NoStream, []store.Event{e}, held)
	}
	if err != nil {
		t.Fatalf("claim a key for another stream: %v", err)
	}
	s := t.system()
	if !(userFunctions{called: func(string) {}}).claim(s) {
		return
	}
	t.probe.onAppend = t.outrun
	t.must(s, Call{ID: acc, Command: do(doDeposit, 1, "a")})
	t.wantHolder("a", acc)
	t.probe.reset()
	t.refused(s, Call{ID: acc, Command: do(doDeposit, 2, "taken")}, store.ErrClaimed)
	if _, appends := t.probe.asked(); len(appends) != 1 {
		t.Errorf("a command whose key is taken was sent %d times, want once", len(appends))
	}
	t.faults.Next(faults.Down)
	t.must(s, Call{ID: acc, Command: do(doDeposit, 3, "b")})
	t.wantHolder("b", acc)
	t.wantTags(acc, "given", "given", "rival", "a", "b")
}

// A command whose claims panic is not recorded and claims no key. Its caller sees the
// panic, and the other callers succeed.
func claimsPanic(t *trial) {
	t.given(acc, do(doCredit, 5, "given"))
	t.probe.latency = time.Millisecond
	s := t.system()
	u := userFunctions{called: func(string) {}, event: func(_ string, e Event) error {
		if e.Tag == poison {
			return errPoison
		}
		return nil
	}}
	if !u.claim(s) {
		return
	}
	all := t.crowd(s, do(doDeposit, 7, poison))
	for _, o := range all {
		holder := acc
		if o.tag == poison {
			holder = ""
		}
		if o.failed() != (o.tag == poison) {
			t.Errorf("the caller of the command %s got %v", o.tag, o)
		}
		t.wantHolder(o.tag, holder)
	}
	t.wantTrue(all)
	t.wantServed(s)
}
