package storetest_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/evolvego/evolve/store"
)

// out returns r as a reader receives it.
func (p *plain) out(r *store.Recorded) store.Recorded {
	c := *r
	if p.is("a page aliases the store") {
		return c
	}
	c.Data = bytes.Clone(r.Data)
	c.Meta.Headers = maps.Clone(r.Meta.Headers)
	if p.is("recording time of each read") {
		c.RecordedAt = time.Now()
	}
	return c
}

// page returns the part of all that o selects. number returns the version or the
// position of an event, and chosen reports whether the filter matches it.
func (p *plain) page(all []*store.Recorded, o store.LogOptions, number func(*store.Recorded) uint64, chosen func(*store.Recorded) bool) store.Page {
	page := store.Page{}
	if len(all) > 0 {
		page.Head = number(all[len(all)-1])
	}
	limit := p.limit(o.Limit)
	if o.Backward {
		return p.backward(page, all, o.From, limit, number, chosen)
	}
	page.Next = max(o.From, 1)
	for i, r := range all {
		if number(r) < page.Next {
			continue
		}
		if p.is("a page ends at its bytes") && bytesOf(page) > 4<<20 {
			page.End = true
			return page
		}
		if len(page.Events) == limit {
			page.End = p.is("End is set too early") || p.is("a forward page of the default size has End set") && limit == store.DefaultLimit
			if p.is("Next is the head") {
				page.Next = page.Head + 1
			}
			return page
		}
		if chosen(r) {
			page.Events = append(page.Events, p.out(r))
		}
		page.Next = number(r) + 1
		if p.is("End is set one page late") && len(page.Events) == limit && i == len(all)-1 {
			return page
		}
	}
	page.End = true
	switch p.bug {
	case "Head is the end of the page":
		if len(page.Events) > 0 {
			page.Head = number(&page.Events[len(page.Events)-1])
		} else {
			page.Head = 0
		}
	case "Next is the last position":
		page.Next = max(page.Next-1, 1)
	}
	return page
}

// bytesOf returns the number of bytes of data in page.
func bytesOf(page store.Page) (n int) {
	for i := range page.Events {
		n += len(page.Events[i].Data)
	}
	return n
}

func (p *plain) limit(limit int) int {
	switch {
	case limit == 0 && p.is("zero limit means none"):
		return 1 << 30
	case limit == 0 || limit > store.DefaultLimit && !p.is("memory is allocated for the limit"):
		return store.DefaultLimit
	case limit < 0:
		return store.DefaultLimit
	}
	if p.is("memory is allocated for the limit") && limit > 1<<19 {
		return int(int32(limit << 12)) // the number does not fit into 32 bits
	}
	return limit
}

func (p *plain) backward(page store.Page, all []*store.Recorded, from uint64, limit int, number func(*store.Recorded) uint64, chosen func(*store.Recorded) bool) store.Page {
	if from == 0 && p.is("backward from zero is nothing") {
		page.End = true
		return page
	}
	page.Next = page.Head
	if from > 0 {
		page.Next = min(from, page.Head)
	}
	if p.is("backward off by one") && from > 0 {
		page.Next = min(from-1, page.Head)
	}
	for _, r := range slices.Backward(all) {
		if number(r) > page.Next {
			continue
		}
		if p.is("a backward page ends at its bytes") && bytesOf(page) > 4<<20 {
			page.End, page.Next = true, 0
			return page
		}
		if len(page.Events) == limit {
			if p.is("a backward page of the default size has End set") && limit == store.DefaultLimit {
				page.Next, page.End = 0, true
			}
			return page
		}
		if chosen(r) {
			page.Events = append(page.Events, p.out(r))
		}
		page.Next = number(r) - 1
	}
	page.Next, page.End = 0, true
	return page
}

func (p *plain) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	if err := o.Validate(); err != nil && !p.is("negative limit is accepted") {
		return store.Page{}, err
	}
	if err := s.Validate(); err != nil && p.is("an invalid stream is a failure") {
		return store.Page{}, errors.New("invalid byte sequence")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.Page{}, err
	}
	all := p.streams[p.key(s)]
	switch {
	case p.is("a missing stream is an error") && len(all) == 0:
		return store.Page{}, errors.New("not found")
	case p.is("stale reads") && o.Backward:
		all = all[:len(all)*3/4]
	case p.is("reads create streams") && len(all) == 0:
		p.created[p.key(s)] = 1
	case p.is("beyond the head means the head") && o.From > uint64(len(all)) && !o.Backward:
		o.From = uint64(len(all))
	case p.is("ReadOnly ignores From") && o.ReadOnly:
		o.From = 0
	}
	lo := store.LogOptions{From: o.From, Limit: o.Limit, Backward: o.Backward}
	page := p.page(all, lo, func(r *store.Recorded) uint64 { return r.Version }, func(*store.Recorded) bool { return true })
	switch {
	case p.is("a buffer keeps its events"):
		page.Events = append(o.Buffer, page.Events...)
	case p.is("a buffer is not overwritten") && cap(o.Buffer) >= len(page.Events):
		buffer := o.Buffer[:len(page.Events)]
		for i, r := range page.Events {
			actor := buffer[i].Meta.ActorID
			if buffer[i] = r; r.Meta.ActorID == "" {
				buffer[i].Meta.ActorID = actor
			}
		}
		page.Events = buffer
	case p.is("a page in a buffer aliases the store") && cap(o.Buffer) > 0:
		for i, v := range page.Events {
			page.Events[i].Data = all[v.Version-1].Data
		}
	}
	if p.is("a torn page") {
		p.pause()
		page.Head = p.version(p.key(s))
	}
	return page, nil
}

// ReadValues returns values in parts of 1, 2, 3 and more events.
func (p *plain) ReadValues(ctx context.Context, s store.Stream, from uint64) (store.Values, error) {
	if err := s.Validate(); err != nil && !p.is("values of an invalid stream") {
		return store.Values{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil && !p.is("values are returned after the context has ended") {
		return store.Values{}, err
	}
	all := p.streams[p.key(s)]
	head := uint64(len(all))
	if p.is("the head of a stream without values is wrong") {
		head = max(head, 1)
	}
	from = max(from, 1)
	if p.is("ReadValues ignores from") {
		from = 1
	}
	var parts [][]any
	n := uint64(0)
	for from+n <= uint64(len(all)) {
		part := make([]any, min(uint64(len(parts))+1, uint64(len(all))+1-from-n))
		for i := range part {
			part[i] = all[from+n+uint64(i)-1].Value
		}
		if p.is("values of events with data are left out") && slices.Contains(part, nil) {
			part = slices.DeleteFunc(part, func(v any) bool { return v == nil })
			if len(part) == 0 {
				break
			}
		}
		n += uint64(len(part))
		parts = append(parts, part)
	}
	switch {
	case p.is("lent values are overwritten") && len(parts) > 0:
		lent := p.lentValues[:0] // returned by the previous read; the caller may still hold it
		for _, r := range all[from-1:] {
			lent = append(lent, r.Value)
		}
		p.lentValues, parts = lent, [][]any{lent}
	case p.is("the last value is left out") && n > 0:
		n--
	}
	if n == 0 {
		return store.Values{Head: head}, nil
	}
	return store.LendValues(head, n, parts[0], parts[1:]), nil
}

func (p *plain) Head(ctx context.Context) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return 0, err
	}
	switch {
	case p.is("Head counts all tenants"):
		var head uint64
		for _, other := range p.tenants {
			head = max(head, other.position)
		}
		return head, nil
	case p.is("head is one too high") && len(p.log) > 0:
		return p.position, nil
	case len(p.log) == 0 && p.is("an empty log has a head"):
		return 1, nil
	case len(p.log) == 0:
		return 0, nil
	}
	return p.log[len(p.log)-1].Position, nil
}

func (p *plain) ReadAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	if err := o.Validate(); err != nil && !p.is("negative limit is accepted") {
		return store.Page{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ready(ctx); err != nil {
		return store.Page{}, err
	}
	p.reads++
	return p.listed(p.readAll(o), o)
}

func (p *plain) readAll(o store.LogOptions) store.Page {
	all := p.log
	switch {
	case p.is("the log lags") && len(all) > 0:
		all = all[:len(all)-1]
	case p.is("the log ends after two events"):
		all = all[:min(2, len(all))]
	case p.is("the log ends after 30 events"):
		all = all[:min(30, len(all))]
	}
	if p.is("beyond the head means the head") && !o.Backward && len(all) > 0 {
		o.From = min(o.From, all[len(all)-1].Position)
	}
	if filtered := len(o.Filter.StreamTypes)+len(o.Filter.IDPrefix)+len(o.Filter.EventTypes) > 0; filtered {
		switch n := min(len(all), 1000); p.bug {
		case "a filter examines only the newest events":
			all = all[len(all)-n:]
		case "a filter examines only the oldest events":
			all = all[:n]
		}
	}
	page := p.page(all, o, func(r *store.Recorded) uint64 { return r.Position }, func(r *store.Recorded) bool { return p.matches(&o.Filter, r) })
	if p.is("head is the last match") && !page.End && len(page.Events) > 0 {
		page.Head = page.Events[len(page.Events)-1].Position
	}
	return page
}

// matches applies a filter as a bug does.
func (p *plain) matches(f *store.Filter, r *store.Recorded) bool {
	prefix, id := f.IDPrefix, r.Stream.ID
	switch p.bug {
	case "a prefix is used as a LIKE pattern":
		prefix = strings.NewReplacer("_", "?", "%", "").Replace(prefix)
		for i := range min(len(prefix), len(id)) {
			if prefix[i] == '?' {
				id = id[:i] + "?" + id[i+1:]
			}
		}
	case "event types of a filter are ignored":
		f = &store.Filter{StreamTypes: f.StreamTypes}
	case "a filter matches any field":
		if len(f.EventTypes) > 0 && slices.Contains(f.EventTypes, r.Type) {
			return true
		}
	case "no types match nothing":
		if f.StreamTypes != nil && len(f.StreamTypes) == 0 {
			return false
		}
	}
	return p.oneOf("filtered stream types", f.StreamTypes, r.Stream.Type) &&
		p.oneOf("filtered event types", f.EventTypes, r.Type) &&
		strings.HasPrefix(p.letter("filtered prefixes", id), p.letter("filtered prefixes", prefix))
}

// oneOf reports whether name is one of names, or names is empty, as a bug does it.
func (p *plain) oneOf(kind string, names []string, name string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return p.letter(kind, n) == p.letter(kind, name) })
}

func (p *plain) Subscribe(ctx context.Context, o store.LogOptions) iter.Seq2[store.Page, error] {
	return func(yield func(store.Page, error) bool) {
		err := o.Validate()
		if o.Backward {
			err = &store.InvalidError{Field: "backward", Reason: "is not possible"}
		}
		if err != nil && !p.is("Subscribe accepts Backward") && (o.Limit >= 0 || !p.is("negative limit is accepted")) {
			yield(store.Page{}, err)
			return
		}
		o.Limit = max(o.Limit, 0)
		o.Backward = false
		p.follow(ctx, o, yield)
	}
}

// follow yields the log from o.From on, and then new events.
func (p *plain) follow(ctx context.Context, o store.LogOptions, yield func(store.Page, error) bool) {
	live := false
	for first := true; ; first = false {
		p.mu.Lock()
		wake := p.wake
		err := p.ready(ctx)
		filter := o.Filter
		if live && p.is("live ignores the filter") {
			o.Filter = store.Filter{}
		}
		page := p.readAll(o)
		o.Filter = filter
		p.mu.Unlock()
		if err != nil {
			p.fail(err, !first && !live, live, yield)
			return
		}
		next := page.Next
		page, live = p.subscribed(page, o, live)
		if (first || next != o.From || len(page.Events) > 0) && !p.yield(page, yield) {
			if p.is("break waits for an event") {
				p.await(context.Background(), wake, &o)
			}
			return
		}
		if o.From = next; p.is("events before From are yielded") {
			o.From = min(next, page.Head+1)
		}
		if p.is("drops events when the loop is slow") {
			p.drop(&o)
		}
		if page.End || p.is("never caught up") && len(page.Events) == 0 {
			p.await(ctx, wake, &o)
		}
	}
}

// fail ends a subscription in its replay, or when it has caught up.
func (p *plain) fail(err error, replay, live bool, yield func(store.Page, error) bool) {
	switch {
	case p.is("the last error is not yielded"), replay && p.is("a cancelled replay ends without an error"),
		!replay && !live && p.is("a subscription with an ended context ends without an error"):
		return
	case live && p.is("a deadline that passes is a cancellation"):
		err = context.Canceled
	case live && p.is("a cancellation is a deadline that passes"):
		err = context.DeadlineExceeded
	}
	yield(store.Page{}, err)
}

// subscribed changes a page of a subscription in the way that a bug does.
func (p *plain) subscribed(page store.Page, o store.LogOptions, live bool) (store.Page, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.is("never caught up"):
		page.End = false
	case p.is("caught up too early"):
		page.End = true
	case p.is("an event is repeated after the replay") && live && o.From > 1 && len(page.Events) > 0 && len(p.cache) == 0:
		p.cache[o.From] = page
		page.Events = append(page.Events, page.Events[0])
	case p.is("live events are out of order") && live && len(page.Events) > 1:
		slices.Reverse(page.Events)
	case p.is("subscriptions share pages"):
		if shared, ok := p.cache[o.From]; ok && len(shared.Events) == len(page.Events) {
			return shared, true
		}
		p.cache[o.From] = page
	case p.is("resumes one event too late") && o.From > 1 && len(page.Events) > 0 && !live:
		page.Events = page.Events[1:]
	}
	return page, live || page.End
}

func (p *plain) yield(page store.Page, yield func(store.Page, error) bool) bool {
	if p.is("a lock is held during the loop") {
		p.mu.Lock()
		defer p.mu.Unlock()
	}
	return yield(page, nil)
}

// await returns when the log has changed, or there is another reason to look.
func (p *plain) await(ctx context.Context, wake <-chan struct{}, o *store.LogOptions) {
	done := ctx.Done()
	switch p.bug {
	case "cancel ignored":
		done = nil
	case "an event is lost after the replay":
		p.mu.Lock()
		p.pause()
		wake = p.wake
		if len(p.log) > 0 {
			o.From = max(o.From, p.log[len(p.log)-1].Position+1)
		}
		p.mu.Unlock()
	}
	select {
	case <-wake:
	case <-done:
	}
}

// drop skips events for a slow loop, in the way that a bug does.
func (p *plain) drop(o *store.LogOptions) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.log); n > 100 {
		o.From = max(o.From, p.log[n-100].Position)
	}
}
