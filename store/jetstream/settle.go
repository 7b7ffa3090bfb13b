package jetstream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/evolvego/evolve/store"
)

// settle makes a on its own, or returns the reason why it is refused. It can follow any
// attempt to make a, even one that may still be recorded: at most one of all attempts
// is recorded, because each expects that the ids of the events are unused.
//
// A refusal is based on an answer from a server that is not older than the call. After
// a refusal, no earlier attempt can be recorded anymore, because a message that it
// expects to be the last one of its subject is not the last one, and never will be
// again.
func (b *backend) settle(ctx context.Context, a *appending) error {
	select {
	case b.settles <- struct{}{}:
		defer func() { <-b.settles }()
	case <-ctx.Done():
		return ctx.Err()
	}
	least, fresh := b.most.Load(), b.alone
	giveUp := time.Now().Add(bound) //nolint:forbidigo // of the servers
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		seen, err := b.look(ctx, a, least)
		if err != nil {
			return err
		}
		p, err := b.judge(ctx, a, seen)
		switch {
		case errors.Is(err, errDone):
			return nil
		case errors.Is(err, errMoved): // look again
		case err != nil && (fresh || !store.Definite(err)):
			return err
		case err == nil:
			err = b.attempt(ctx, p, answerIn*time.Duration(min(n+1, maxPatience)))
			if err == nil {
				return nil
			}
			a.lost = a.lost || mayLand(err)
			if err := a.final(err); err != nil {
				return err
			}
			if time.Now().After(giveUp) { //nolint:forbidigo // as above
				return err
			}
			pause(ctx, n)
		}
		if least, err = b.fresh(ctx); err != nil {
			return a.refused(err)
		}
		fresh = true
	}
}

// errDone means that the append is already recorded.
var errDone = errors.New("recorded already")

// maxPatience limits the wait for later answers, as a multiple of the wait for the
// first one: an answer may have been lost, but the servers may also be slow.
const maxPatience = 4

// attempt publishes p, and waits for the answer for in, or until shortly after ctx has
// ended.
func (b *backend) attempt(ctx context.Context, p *plan, in time.Duration) error {
	b.heads.forget(p.subject)
	messages := b.messages([]*plan{p})
	longer, cancel := graced(ctx)
	defer cancel()
	last, err := b.wire.batch(longer, in, messages)
	if err != nil {
		return err
	}
	b.recorded([]*plan{p}, len(messages), last)
	return nil
}

// graced returns a context that ends shortly after ctx.
func graced(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// final returns the caller's error if a batch that failed with err would fail again,
// and nil if it might not.
func (a *appending) final(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return invalid("events[0].data", "does not fit into a message of the server: raise its max_payload")
	}
	api, ok := errors.AsType[*apiError](err)
	if !ok {
		if isAmbiguous(err) {
			return nil
		}
		return err
	}
	switch api.ErrCode {
	case codeBatchTooLarge:
		field, n := "events", len(a.events)
		if len(a.claims) > 2*len(a.events) {
			field, n = "claims", len(a.claims)
		}
		return invalid(field, fmt.Sprintf(
			"has %d, which needs more messages (two for each event, one for each claim) than the server accepts at once: raise jetstream.limits.batch.max_msgs of all servers to 4096", n))
	case codeStreamTooLarge:
		return invalid("events[0].data", "is larger than the stream accepts: raise its max_msg_size")
	case codeHeaderTooLarge:
		return invalid("events[0].metadata", "does not fit into the headers of a message")
	}
	if isAmbiguous(err) {
		return nil
	}
	return a.refused(err)
}

// refused returns err. If the servers are full and no attempt to make a may still be
// recorded, it returns a refusal.
func (a *appending) refused(err error) error {
	if !isFull(err) {
		return err
	}
	return &Error{Kind: ErrFull, Code: codeOf(err), Refused: !a.lost, Err: err}
}

// seen is what the log has on the subjects of an append.
type seen struct {
	last  map[string]*message
	parts int // if more than 1, it does not show one moment
}

// maxSnapshot is the maximum number of subjects in one request.
const maxSnapshot = 900

// look reads everything that is needed to judge a. If it needs several parts, the head
// of the stream is in the first one: an id that is free in a later part was also free
// at the moment of the head.
func (b *backend) look(ctx context.Context, a *appending, least uint64) (*seen, error) {
	subjects := make([]string, 0, 1+len(a.events)+len(a.keys))
	subjects = append(subjects, a.subject)
	for i := range a.events {
		subjects = append(subjects, a.events[i].subject)
	}
	subjects = append(subjects, a.keys...)
	s := &seen{last: make(map[string]*message)}
	for len(subjects) > 0 {
		n := min(len(subjects), maxSnapshot)
		last, upTo, err := b.snapshot(ctx, subjects[:n], least)
		if err != nil {
			return nil, err
		}
		maps.Copy(s.last, last)
		least = max(least, upTo)
		subjects = subjects[n:]
		s.parts++
	}
	return s, nil
}

// snapshot is wire.snapshot, and also checks that the log is the one that was opened.
func (b *backend) snapshot(ctx context.Context, subjects []string, least uint64) (map[string]*message, uint64, error) {
	all := append(append(make([]string, 0, len(subjects)+1), subjects...), b.names.mark())
	return b.wire.snapshot(ctx, b.names.stream(), all, least, func(last map[string]*message) error {
		return b.checkMark(last[b.names.mark()])
	})
}

// checkMark returns an error if m is not the mark of the log that was opened.
func (b *backend) checkMark(m *message) error {
	if m == nil || !b.isMark(m) {
		return fmt.Errorf("jetstream: stream %s was deleted and created anew: %w", b.names.stream(), store.ErrLogDiverged)
	}
	return nil
}

// behind is called if a leader does not know what this process has seen. It returns
// errBehind, or an error if the log is not the one that was opened.
func (b *backend) behind(ctx context.Context) error {
	m, err := b.wire.newest(ctx, b.names.stream(), b.names.mark())
	if err == nil {
		err = b.checkMark(m)
	}
	if err != nil {
		return err
	}
	return errBehind
}

// judge returns a plan to make a, based on what was seen. Otherwise it returns errDone
// if a is already recorded, or the reason why a is refused.
func (b *backend) judge(ctx context.Context, a *appending, s *seen) (*plan, error) {
	if err := b.judgeIDs(ctx, a, s); err != nil {
		return nil, err
	}
	p := &plan{appending: a}
	if m, ok := s.last[a.subject]; ok {
		t, err := m.trail()
		if err != nil {
			return nil, err
		}
		p.head = t
	}
	if !a.expected.Matches(p.head.version) {
		return nil, &store.ConflictError{Stream: a.stream, Expected: a.expected, Actual: p.head.version}
	}
	for i := range a.claims {
		m := s.last[a.keys[i]]
		holder, held, err := m.holder()
		if err != nil {
			return nil, err
		}
		if held && holder != a.stream {
			return nil, b.claimed(ctx, a, i, s, holder)
		}
		at := uint64(0)
		if m != nil {
			at = m.position
		}
		p.at = append(p.at, at)
	}
	return p, nil
}

// claimed returns the error for a, which is refused because holder holds the key of
// claim i. If what was seen is not of one moment, it checks again that the stream is as
// expected.
func (b *backend) claimed(ctx context.Context, a *appending, i int, s *seen, holder store.Stream) error {
	claimed := &store.ClaimedError{Stream: a.stream, Key: a.claims[i].Key, Holder: holder}
	if s.parts == 1 {
		return claimed
	}
	last, _, err := b.snapshot(ctx, []string{a.subject, a.keys[i]}, max(positionOf(s.last[a.subject]), s.last[a.keys[i]].position))
	if err != nil {
		return err
	}
	if positionOf(last[a.subject]) == positionOf(s.last[a.subject]) && positionOf(last[a.keys[i]]) == s.last[a.keys[i]].position {
		return claimed
	}
	return errMoved
}

// errMoved means that the parts of what was seen were never true at one moment.
var errMoved = errors.New("the stream and the keys change too fast for a consistent read")

func positionOf(m *message) uint64 {
	if m == nil {
		return 0
	}
	return m.position
}

// judgeIDs returns errDone if the events of a are recorded in its stream one after
// another, and a *store.DuplicateError if another event has one of their ids.
func (b *backend) judgeIDs(ctx context.Context, a *appending, s *seen) error {
	first, count := -1, 0
	for i := range a.events {
		if _, ok := s.last[a.events[i].subject]; ok {
			count++
			if first < 0 {
				first = i
			}
		}
	}
	if count == 0 {
		return nil
	}
	own := false
	if count == len(a.events) {
		all, ours, err := b.eventsOf(ctx, a, s, 0, len(a.events))
		if err != nil {
			return err
		}
		if a.isRecorded(all) {
			last := all[len(all)-1]
			a.appended = store.Appended{Version: last.Version, Position: last.Position, Replayed: !ours}
			return errDone
		}
		own = ours
	}
	taken, _, err := b.eventsOf(ctx, a, s, first, first+1)
	if err != nil {
		return err
	}
	if own {
		return damaged(fmt.Sprintf("event %q is not as it was written", taken[0].ID))
	}
	return &store.DuplicateError{Stream: a.stream, EventID: a.events[first].event.ID, In: taken[0].Stream, Version: taken[0].Version}
}

// isRecorded reports whether all, the events that have the ids of a, equal the events
// of a.
func (a *appending) isRecorded(all []*store.Recorded) bool {
	for i, r := range all {
		if r.Stream != a.stream || r.Version != all[0].Version+uint64(i) || !r.Same(&a.events[i].event) {
			return false
		}
	}
	return true
}

// maxReads is the maximum number of concurrent requests for single messages.
const maxReads = 16

// eventsOf returns the recorded events that have the ids of the events from to to of a,
// and whether a itself has written them.
func (b *backend) eventsOf(ctx context.Context, a *appending, s *seen, from, to int) (events []*store.Recorded, ours bool, err error) {
	positions := make([]uint64, 0, to-from)
	ours = true
	for i := from; i < to; i++ {
		m := s.last[a.events[i].subject]
		id, ok := decodeID(m.data)
		if !ok {
			return nil, false, damaged(fmt.Sprintf("message %d (%s) is not an id", m.position, m.subject))
		}
		ours = ours && id.token == a.token
		positions = append(positions, m.position+id.distance)
	}
	messages, err := b.fetch(ctx, positions)
	if err != nil {
		return nil, false, err
	}
	for _, m := range messages {
		r, err := m.recorded()
		if err != nil {
			return nil, false, err
		}
		events = append(events, r)
	}
	return events, ours, nil
}

// fetch returns the messages at positions, which must exist.
func (b *backend) fetch(ctx context.Context, positions []uint64) ([]*message, error) {
	messages, errs := make([]*message, len(positions)), make([]error, len(positions))
	if len(positions) == 1 {
		m, err := b.wire.at(ctx, b.names.stream(), positions[0])
		return []*message{m}, err
	}
	var all sync.WaitGroup
	gate := make(chan struct{}, maxReads)
	for i, position := range positions {
		gate <- struct{}{}
		all.Go(func() {
			messages[i], errs[i] = b.wire.at(ctx, b.names.stream(), position)
			<-gate
		})
	}
	all.Wait()
	return messages, errors.Join(errs...)
}
