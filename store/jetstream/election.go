package jetstream

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// lateIn is how long after an election the answers to earlier requests may arrive.
const lateIn = 100 * time.Millisecond

// electionSubject is the prefix of the subjects of the servers' notifications that a
// stream has a new leader.
const electionSubject = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."

// followElections makes requests to the leader of a log fail soon after a new leader is
// elected, because the old one has probably lost them: what was sent to it can then be
// settled at once. If the user may not receive the notifications, such requests wait as
// long as others.
func (w *wire) followElections(names subjects) error {
	for _, s := range []struct{ stream, all string }{{names.stream(), names.all()}, {names.keep(), names.allKept()}} {
		prefix := strings.TrimSuffix(s.all, ">")
		concerns := func(subject string) bool {
			return strings.HasPrefix(subject, prefix) || strings.HasSuffix(subject, "."+s.stream)
		}
		sub, err := w.nc.Subscribe(electionSubject+s.stream, func(*nats.Msg) {
			sent := w.pending(concerns)
			time.AfterFunc(lateIn, func() { w.giveUp(sent) })
		})
		if err != nil {
			return err
		}
		w.subs = append(w.subs, sub)
	}
	return nil
}

// pending returns the names of the calls that wait for answers, and that were sent to a
// subject for which concerns returns true.
func (w *wire) pending(concerns func(subject string) bool) (names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, c := range w.calls {
		if concerns(c.subject) {
			names = append(names, name)
		}
	}
	return names
}

// giveUp ends those of the calls that still wait.
func (w *wire) giveUp(names []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range names {
		if c, ok := w.calls[name]; ok {
			c.lost = true
			close(c.done)
			delete(w.calls, name)
		}
	}
}
