package storetest_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

// reopen turns p, which was closed, into the store that opens the same data again.
func (p *plain) reopen() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		return
	}
	p.closed = false
	if p.is("only one tenant is kept") {
		maps.DeleteFunc(p.tenants, func(_ string, t *plain) bool { return t != p })
	}
	if last := slices.Max(slices.Collect(maps.Keys(p.tenants))); p.is("the last tenant is not kept") && p.tenants[last] != p {
		delete(p.tenants, last)
	}
	for _, t := range p.tenants {
		t.lose()
	}
}

// lose drops the data that a bug does not keep.
func (p *plain) lose() {
	switch p.bug {
	case "the last event is not kept":
		if last := len(p.log) - 1; last >= 0 {
			r := p.log[last]
			p.log = p.log[:last]
			p.streams[r.Stream] = p.streams[r.Stream][:r.Version-1]
			delete(p.ids, r.ID)
		}
	case "times are the file's time":
		for _, stream := range p.streams {
			for _, r := range stream {
				r.RecordedAt = r.RecordedAt.Add(time.Hour)
			}
		}
	case "versions restart":
		clear(p.streams)
	case "ids are not kept":
		clear(p.ids)
	case "the log loses its order":
		if len(p.log) > 1 {
			first, second := *p.log[0], *p.log[1]
			first.Position, second.Position = second.Position, first.Position
			p.log[0], p.log[1] = &second, &first
		}
	case "positions restart":
		p.position = 0
	case "events get new ids":
		for _, r := range p.log {
			r.ID = store.NewID()
		}
	case "released keys are kept":
		maps.Copy(p.holders, p.freed)
	case "only events are kept":
		clear(p.snapshots)
		clear(p.checkpoints)
		clear(p.holders)
		clear(p.leases)
		clear(p.docs)
	}
}

// TestPlainReopened checks that the plain store without bugs keeps what it should.
func TestPlainReopened(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, func(*testing.T) func() store.Store { return opens("Reopened", "") })
}
