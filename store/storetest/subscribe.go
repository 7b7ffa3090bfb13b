package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

func subscribeClauses() []clause {
	return []clause{
		{"yields the log from a position on, and then reports that it has caught up", subscribeReplays},
		{"it catches up with an empty log at once", subscribeEmpty},
		{"later events arrive one by one", subscribeLive},
		{"every kind of append wakes it", subscribeWakes},
		{"from beyond the head, only events from there on arrive", subscribeBeyond},
		{"a filter selects exactly the matching events, replayed and live", subscribeFilters},
		{"resuming at any Next yields exactly the rest", subscribeResumes},
		{"no event is lost, repeated or out of order when the replay ends", subscribeSeam},
		{"a slow loop gets everything, and slows down nobody else", subscribeSlow},
		{"the loop can call the store", subscribeCallsBack},
		{"the end of its context ends it, with that error last", subscribeEnds},
		{"break ends it", subscribeBreaks},
		{"the caller can change a page", subscribePagesAreNotKept},
		{"backward and negative limits are refused", subscribeRefuses},
	}
}

// errQuiet means that nothing was yielded in time.
var errQuiet = errors.New("nothing was yielded")

// feed is a subscription whose pages are taken one by one.
type feed struct {
	o        store.LogOptions
	items    chan item
	cancel   context.CancelFunc
	caught   func()        // called when the subscription has caught up, if not nil
	done     chan struct{} // closed when the loop has ended
	patience time.Duration
}

type item struct {
	page store.Page
	err  error
}

// subscribe starts a subscription; the caller must close it.
func (t *check) subscribe(log store.Log, o store.LogOptions) *feed {
	ctx, cancel := context.WithCancel(t.ctx)
	f := &feed{o: o, items: make(chan item), cancel: cancel, done: make(chan struct{}), patience: t.patience}
	go func() {
		defer close(f.done)
		for page, err := range log.Subscribe(ctx, o) {
			select {
			case f.items <- item{page, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return f
}

// close ends the subscription and waits for it.
func (f *feed) close() error {
	f.cancel()
	select {
	case <-f.done:
		return nil
	case <-time.After(f.patience):
		return fmt.Errorf("the subscription has not ended %s after its context ended: %w", f.patience, errQuiet)
	}
}

// next returns the next page, and checks it.
func (f *feed) next() (store.Page, error) {
	timeout := time.NewTimer(f.patience)
	defer timeout.Stop()
	select {
	case i := <-f.items:
		if i.err != nil {
			return store.Page{}, fmt.Errorf("Subscribe(%+v) yielded the error %w", f.o, i.err)
		}
		if diff := differSubscribed(f.o, &i.page); diff != "" {
			return store.Page{}, fmt.Errorf("the subscription, now from %d: %s", f.o.From, diff)
		}
		f.o.From = i.page.Next
		if i.page.End && f.caught != nil {
			f.caught()
		}
		return i.page, nil
	case <-f.done:
		return store.Page{}, errors.New("the subscription ended without an error")
	case <-timeout.C:
		return store.Page{}, fmt.Errorf("the subscription, now from %d: %w for %s", f.o.From, errQuiet, f.patience)
	}
}

// differSubscribed is differLogPage for pages of a subscription, which may be empty,
// and may repeat Next to say that the subscription has caught up.
func differSubscribed(o store.LogOptions, page *store.Page) string {
	if len(page.Events) == 0 {
		if page.Next < o.From {
			return fmt.Sprintf("an empty page whose Next is %d, before the current position", page.Next)
		}
		return ""
	}
	return differLogPage(o, page)
}

// until takes events up to the one with this id.
func (f *feed) until(id string) ([]store.Recorded, error) {
	var all []store.Recorded
	for {
		page, err := f.next()
		if err != nil {
			return all, fmt.Errorf("%w; %d events had arrived, but not event %q", err, len(all), id)
		}
		all = append(all, page.Events...)
		if n := len(page.Events); n > 0 && slices.ContainsFunc(page.Events, func(r store.Recorded) bool { return r.ID == id }) {
			return all, nil
		}
	}
}

// caughtUp takes events up to the page that says it has caught up.
func (f *feed) caughtUp() ([]store.Recorded, error) {
	var all []store.Recorded
	for {
		page, err := f.next()
		if err != nil {
			return all, fmt.Errorf("%w; %d events had arrived, but no page with End set", err, len(all))
		}
		all = append(all, page.Events...)
		if page.End {
			return all, nil
		}
	}
}

// wantFeed fails unless f yields want and then says that it has caught up.
func (t *check) wantFeed(f *feed, want []store.Recorded) {
	t.Helper()
	from := f.o
	got, err := f.caughtUp()
	t.must(err)
	if diff := differAll(got, want); diff != "" {
		t.Fatalf("Subscribe(%+v), until it had caught up: %s", from, diff)
	}
}

// closeFeed closes f, and fails if f does not end.
func (t *check) closeFeed(f *feed) {
	t.Helper()
	t.must(f.close())
}

func subscribeReplays(t *check) {
	st := t.openLog()
	t.mixed(st, 12)
	all := t.logOf(st, 12)
	for _, limit := range []int{0, 1, 5, 12, 100} {
		for _, from := range []uint64{0, 1, all[4].Position, all[11].Position, all[11].Position + 1} {
			o := store.LogOptions{From: from, Limit: limit}
			f := t.subscribe(st, o)
			t.wantFeed(f, choose(all, o))
			t.closeFeed(f)
		}
	}
}

func subscribeEmpty(t *check) {
	st := t.openLog()
	f := t.subscribe(st, store.LogOptions{})
	t.wantFeed(f, nil)
	t.mixed(st, 2)
	all := t.logOf(st, 2)
	got, err := f.until(all[1].ID)
	t.must(err)
	if diff := differAll(got, all); diff != "" {
		t.Fatalf("Subscribe of a log that was empty: %s", diff)
	}
	t.closeFeed(f)
}

func subscribeLive(t *check) {
	st := t.openLog()
	t.mixed(st, 3)
	f := t.subscribe(st, store.LogOptions{})
	t.wantFeed(f, t.logOf(st, 3))
	s := newStream("live")
	for range t.times(200) {
		events := newEvents(1)
		t.append(st, s, store.Any, events...)
		got, err := f.until(events[0].ID)
		if err != nil {
			t.Fatalf("after appending one event to a subscription that had caught up: %v", err)
		}
		if len(got) != 1 {
			t.Fatalf("one event was appended, but the subscription yielded %d", len(got))
		}
	}
	t.closeFeed(f)
}

func subscribeBeyond(t *check) {
	st := t.openLog()
	t.mixed(st, 3)
	all := t.logOf(st, 3)
	from := all[2].Position + 3
	f := t.subscribe(st, store.LogOptions{From: from})
	defer f.cancel()
	t.wantFeed(f, nil)
	t.mixed(st, 8)
	all = t.logOf(st, 11)
	got, err := f.until(all[10].ID)
	t.must(err)
	if diff := differAll(got, choose(all, store.LogOptions{From: from})); diff != "" {
		t.Fatalf("Subscribe from %d, two positions beyond the next event: %s", from, diff)
	}
	t.closeFeed(f)
}

func subscribeFilters(t *check) {
	st := t.openLog()
	filters := []store.Filter{
		{},
		{StreamTypes: []string{"Account"}},
		{StreamTypes: []string{"Order", "Account_"}},
		{EventTypes: []string{"Closed"}},
		{IDPrefix: "a_"},
		{IDPrefix: "a%"},
		{IDPrefix: "a"},
		{StreamTypes: []string{"Account"}, EventTypes: []string{"Opened"}, IDPrefix: "a_1"},
	}
	write := func(n int) {
		for i := range n {
			s := store.Stream{Type: []string{"Account", "Order", "account", "Account_"}[i%4], ID: []string{"a_1", "a%1", "ab1", "A_1", "b"}[i%5]}
			events := newEvents(1 + i%2)
			events[0].Type = []string{"Opened", "Closed", "closed"}[i%3]
			t.append(st, s, store.Any, events...)
		}
	}
	write(20)
	before := t.logOf(st, 30)
	feeds := make([]*feed, len(filters))
	for i, filter := range filters {
		o := store.LogOptions{Filter: filter, Limit: i % 4}
		feeds[i] = t.subscribe(st, o)
		defer feeds[i].cancel()
		t.wantFeed(feeds[i], choose(before, o))
	}
	write(40)
	all := t.log(st, store.LogOptions{From: before[len(before)-1].Position + 1})
	for i, filter := range filters {
		want := choose(all, store.LogOptions{Filter: filter})
		if len(want) == 0 {
			t.Fatalf("after more appends, the log has no new event that filter %+v matches, want some", filter)
		}
		got, err := feeds[i].until(want[len(want)-1].ID)
		if err != nil {
			t.Fatalf("filter %+v: %v", filter, err)
		}
		if diff := differAll(got, want); diff != "" {
			t.Fatalf("Subscribe with filter %+v, live: %s", filter, diff)
		}
		t.closeFeed(feeds[i])
	}
}

func subscribeResumes(t *check) {
	st := t.openLog()
	t.mixed(st, 9)
	for _, filter := range []store.Filter{{}, {StreamTypes: []string{"Order"}}} {
		all := t.log(st, store.LogOptions{Filter: filter})
		first := t.subscribe(st, store.LogOptions{Limit: 2, Filter: filter})
		for handled, end := 0, false; !end; {
			page, err := first.next()
			t.must(err)
			handled, end = handled+len(page.Events), page.End
			again := t.subscribe(st, store.LogOptions{From: page.Next, Filter: filter})
			t.wantFeed(again, all[min(handled, len(all)):])
			t.closeFeed(again)
		}
		t.closeFeed(first)
	}
}

// subscribeSeam starts subscriptions while writers append, which continue until the
// last replay has ended.
func subscribeSeam(t *check) {
	const writers, subscribers = 4, 4
	for round := range t.times(5) {
		st := t.openLog()
		const each = 40
		end := newEvent("end")
		started := make([]chan struct{}, subscribers)
		for i := range started {
			started[i] = make(chan struct{})
		}
		var appended, caughtUp atomic.Int64
		var writing sync.WaitGroup
		writing.Add(writers)
		got := make([][]store.Recorded, subscribers)
		options := make([]store.LogOptions, subscribers)
		t.together(writers+subscribers+1, func(i int) error {
			switch {
			case i < writers:
				defer writing.Done()
				s := newStream("writer")
				for n := 0; n < each || n < 10*each && caughtUp.Load() < subscribers; n++ {
					if _, err := st.Append(t.ctx, s, store.Any, newEvents(1+(i+round)%3)); err != nil {
						return fmt.Errorf("append to %s failed: %w", s, err)
					}
					if n := appended.Add(1) - 1; n%each == 0 && n/each < subscribers {
						close(started[n/each])
					}
				}
				return nil
			case i == writers:
				writing.Wait()
				_, err := st.Append(t.ctx, newStream("end"), store.NoStream, []store.Event{end})
				return err
			}
			i -= writers + 1
			select {
			case <-started[i]:
			case <-time.After(t.patience):
				return fmt.Errorf("the appends before subscription %d did not end within %s", i+1, t.patience)
			}
			return t.subscribeAt(st, i, end.ID, &options[i], &got[i], sync.OnceFunc(func() { caughtUp.Add(1) }))
		})
		all := t.log(st, store.LogOptions{})
		for i, o := range options {
			if diff := differAll(got[i], choose(all, o)); diff != "" {
				t.Fatalf("Subscribe(%+v), started while others appended: %s", o, diff)
			}
		}
	}
}

// subscribeAt subscribes from some position of the log, up to event end.
func (t *check) subscribeAt(st logStore, i int, end string, o *store.LogOptions, got *[]store.Recorded, caught func()) error {
	*o = store.LogOptions{Limit: []int{0, 1, 7}[i%3]}
	if i%2 == 1 {
		head, err := st.Head(t.ctx)
		if err != nil {
			return fmt.Errorf("call of Head: %w", err)
		}
		o.From = head/2 + uint64(i)
	}
	f := t.subscribe(st, *o)
	defer f.cancel()
	f.caught = caught
	all, err := f.until(end)
	*got = all
	return errors.Join(err, f.close())
}
