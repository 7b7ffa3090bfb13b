package jetstream

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// lane makes the appends of some streams. It groups the appends that arrive while a
// batch is in progress. If it cannot make an append, for whatever reason, the append
// has to be settled.
type lane struct {
	backend *backend

	mu      sync.Mutex
	waiting []*appending // guarded by mu
	running bool         // a goroutine is making groups; guarded by mu
}

// The limits of a group.
const (
	maxGroup     = 256
	maxMessages  = 900 // a server accepts 1,000 by default
	maxGroupSize = 4 << 20
)

// lane returns the lane of the stream with this subject.
func (b *backend) lane(subject string) *lane {
	return b.lanes[maphash.String(b.seed, subject)%uint64(len(b.lanes))]
}

// append makes a, and returns false if it has to be settled. If ctx ends before the
// outcome of a is known, append returns the error of ctx.
func (l *lane) append(ctx context.Context, a *appending) (made bool, err error) {
	l.mu.Lock()
	l.waiting = append(l.waiting, a)
	if !l.running {
		l.running = true
		l.backend.work.Go(l.run)
	}
	l.mu.Unlock()
	select {
	case <-a.done:
		return a.made, a.refused(a.full)
	case <-ctx.Done():
	}
	if l.withdraw(a) {
		return false, ctx.Err()
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-a.done:
		if a.made {
			return true, nil
		}
	case <-timer.C:
	}
	return false, ctx.Err()
}

// withdraw takes a back, and returns false if it is too late.
func (l *lane) withdraw(a *appending) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a.taken {
		return false
	}
	l.waiting = slices.DeleteFunc(l.waiting, func(o *appending) bool { return o == a })
	return true
}

// run makes groups while appends are waiting.
func (l *lane) run() {
	for {
		group := l.take()
		if len(group) == 0 {
			return
		}
		l.backend.makeGroup(group)
	}
}

// take takes the appends of the next group.
func (l *lane) take() []*appending {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, messages, size := 0, 0, 0
	for _, a := range l.waiting {
		messages += 2 * len(a.events)
		size += a.size
		if n > 0 && (n == maxGroup || messages > maxMessages || size > maxGroupSize) {
			break
		}
		a.taken = true
		n++
	}
	group := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	l.running = n > 0
	return group
}

// makeGroup makes those appends of group that succeed as expected, and returns when all
// of them are done.
func (b *backend) makeGroup(group []*appending) {
	known := b.headsOf(group)
	plans, others := planGroup(group, known)
	for _, a := range others {
		close(a.done) // it is settled outside of the lane
	}
	b.makePlans(plans)
}

// headsOf returns the ends of the streams of group. It has no entry for a stream whose
// end is unknown.
func (b *backend) headsOf(group []*appending) map[string]*trail {
	known := make(map[string]*trail, len(group))
	var unknown []string
	for _, a := range group {
		if _, ok := known[a.subject]; ok {
			continue
		}
		t, ok := b.heads.get(a.subject)
		if !ok {
			unknown = append(unknown, a.subject)
		}
		known[a.subject] = &t
	}
	if len(unknown) == 0 {
		return known
	}
	last, _, err := b.snapshot(b.life, unknown, b.most.Load())
	for _, subject := range unknown {
		m, ok := last[subject]
		switch {
		case err != nil:
			delete(known, subject)
		case ok:
			t, err := m.trail()
			if err != nil {
				delete(known, subject) // settle reports the error
				continue
			}
			known[subject] = &t
		}
	}
	return known
}

// planGroup returns plans for the appends that will succeed once those before them are
// made, with the plans for one stream next to each other. It also returns the other
// appends.
func planGroup(group []*appending, known map[string]*trail) (plans []*plan, others []*appending) {
	ids := make(map[string]bool)
	of := make(map[string][]*plan, len(known))
	var order []string
	for _, a := range group {
		head, ok := known[a.subject]
		if !ok || !a.expected.Matches(head.version) || a.takesAny(ids) {
			others = append(others, a)
			continue
		}
		for i := range a.events {
			ids[a.events[i].subject] = true
		}
		p := &plan{appending: a, head: *head}
		if before := of[a.subject]; len(before) > 0 {
			p.index = before[len(before)-1].index + len(before[len(before)-1].events)
		} else {
			order = append(order, a.subject)
		}
		of[a.subject] = append(of[a.subject], p)
		t := *head
		for range a.events {
			t = t.next(0)
		}
		known[a.subject] = &t
	}
	for _, subject := range order {
		plans = append(plans, of[subject]...)
	}
	return plans, others
}

// takesAny reports whether an event of a has one of ids.
func (a *appending) takesAny(ids map[string]bool) bool {
	for i := range a.events {
		if ids[a.events[i].subject] {
			return true
		}
	}
	return false
}

// makePlans makes plans in one batch or, if that fails, in halves.
func (b *backend) makePlans(plans []*plan) {
	if len(plans) == 0 {
		return
	}
	messages := b.messages(plans)
	last, err := b.wire.batch(b.life, answerIn, messages)
	if err == nil {
		b.recorded(plans, len(messages), last)
		for _, p := range plans {
			p.made = true
			close(p.done)
		}
		return
	}
	for _, p := range plans {
		b.heads.forget(p.subject)
		p.lost = p.lost || mayLand(err)
		if codeOf(err) == codeFull {
			p.full = err
		}
	}
	const few = 2
	if len(plans) <= few || !isAmbiguous(err) || isPassing(err) {
		for _, p := range plans {
			close(p.done)
		}
		return
	}
	var halves [2][]*appending
	for i, p := range plans {
		half := 2 * i / len(plans)
		halves[half] = append(halves[half], p.appending)
	}
	for _, half := range halves {
		b.makeGroup(half)
	}
}
