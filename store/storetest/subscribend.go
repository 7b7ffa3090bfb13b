package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

func subscribeSlow(t *check) {
	st := t.openLog()
	t.mixed(st, 5)
	slow, fast := t.subscribe(st, store.LogOptions{Limit: 1}), t.subscribe(st, store.LogOptions{})
	defer slow.cancel()
	defer fast.cancel()
	first, err := slow.next()
	t.must(err)
	s := newStream("slow")
	batches := t.times(60)
	for range batches {
		t.append(st, s, store.Any, newEvents(50)...)
	}
	end := newEvent("end")
	t.append(st, s, store.Any, end)
	all := t.logOf(st, 5+50*batches+1)
	for _, f := range []*feed{fast, slow} {
		got, err := f.until(end.ID)
		t.must(err)
		if f == slow {
			got = append(first.Events, got...)
		}
		if diff := differAll(got, all); diff != "" {
			t.Fatalf("Subscribe with a loop that waited while %d events were appended: %s", len(all), diff)
		}
		t.closeFeed(f)
	}
}

// inTime runs do and fails unless it ends in time and without an error.
func (t *check) inTime(what string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	case <-time.After(t.patience):
		t.Fatalf("%s: has not ended after %s", what, t.patience)
	}
}

func subscribeCallsBack(t *check) {
	const n = 20
	st := t.openLog()
	s := newStream("calls back")
	t.append(st, s, store.NoStream, newEvent("0"))
	t.inTime("a loop over Subscribe that appends when an event arrives", func() error {
		for page, err := range st.Subscribe(t.ctx, store.LogOptions{}) {
			if err != nil {
				return err
			}
			for i := range page.Events {
				count, err := strconv.Atoi(string(page.Events[i].Data))
				if err != nil || count == n {
					return err
				}
				if _, err := st.Append(t.ctx, s, store.Exactly(uint64(count+1)), []store.Event{newEvent(strconv.Itoa(count + 1))}); err != nil {
					return fmt.Errorf("an append when event %d arrived: %w", count, err)
				}
				if head, err := st.Head(t.ctx); err != nil || head <= page.Events[i].Position {
					return fmt.Errorf("Head() = %d, %s after position %d had arrived and another event was appended", head, answer(err), page.Events[i].Position)
				}
				if _, err := readLog(t.ctx, st, store.LogOptions{}); err != nil {
					return err
				}
			}
		}
		return errors.New("it ended without an error")
	})
	if got := t.all(st, s); len(got) != n+1 {
		t.Fatalf("stream %s has %d events, want %d", s, len(got), n+1)
	}
}

// ends subscribes with ctx and calls at for each page; it returns the error that the
// subscription ended with.
func ends(ctx context.Context, log store.Log, o store.LogOptions, at func(page store.Page)) error {
	var last error
	for page, err := range log.Subscribe(ctx, o) {
		switch {
		case last != nil:
			return fmt.Errorf("it yielded a page after the error %s", answer(last))
		case err != nil:
			last = err
		default:
			at(page)
		}
	}
	if last == nil {
		return errors.New("it ended without an error")
	}
	return last
}

func subscribeEnds(t *check) {
	st := t.openLog()
	t.mixed(st, 30)
	want := func(what string, cause error, do func() error) {
		t.Helper()
		t.inTime(what, func() error {
			if err := do(); !errors.Is(err, cause) {
				return fmt.Errorf("the last error is %s, want %w", answer(err), cause)
			}
			return nil
		})
	}
	for cause, ctx := range t.ended() {
		want("Subscribe with an ended context", cause, func() error {
			return ends(ctx, st, store.LogOptions{}, func(store.Page) {})
		})
	}
	want("Subscribe, cancelled in replay", context.Canceled, func() error {
		ctx, cancel := context.WithCancel(t.ctx)
		defer cancel()
		return ends(ctx, st, store.LogOptions{Limit: 1}, func(store.Page) { cancel() })
	})
	want("Subscribe, cancelled while it waits", context.Canceled, func() error {
		ctx, cancel := context.WithCancel(t.ctx)
		defer cancel()
		return ends(ctx, st, store.LogOptions{}, func(page store.Page) {
			if page.End {
				time.AfterFunc(10*time.Millisecond, cancel)
			}
		})
	})
	want("Subscribe, whose deadline passes while it waits", context.DeadlineExceeded, func() error {
		ctx, cancel := context.WithTimeout(t.ctx, 50*time.Millisecond)
		defer cancel()
		return ends(ctx, st, store.LogOptions{}, func(store.Page) {})
	})
}

func subscribeBreaks(t *check) {
	st := t.openLog()
	t.mixed(st, 3)
	for _, live := range []bool{false, true} {
		t.inTime(fmt.Sprintf("break in the loop over Subscribe, when it has caught up: %t", live), func() error {
			for page, err := range st.Subscribe(t.ctx, store.LogOptions{Limit: 1}) {
				if err != nil {
					return err
				}
				if !live || page.End {
					return nil
				}
			}
			return errors.New("it ended by itself")
		})
	}
	t.mixed(st, 3)
	f := t.subscribe(st, store.LogOptions{})
	t.wantFeed(f, t.logOf(st, 6))
	t.closeFeed(f)
}

func subscribePagesAreNotKept(t *check) {
	st := t.openLog()
	t.mixed(st, 4)
	spoiled, other := t.subscribe(st, store.LogOptions{}), t.subscribe(st, store.LogOptions{})
	defer spoiled.cancel()
	defer other.cancel()
	for round := range 3 {
		all := keep(t.logOf(st, 4*round+4))
		want := all[len(all)-4:]
		for seen := 0; seen < len(want); {
			page, err := spoiled.next()
			t.must(err)
			seen += len(page.Events)
			spoilPage(&page)
		}
		if diff := differAll(t.log(st, store.LogOptions{}), all); diff != "" {
			t.Fatalf("after changing the pages of a subscription, the log differs: %s", diff)
		}
		got, err := other.until(want[3].ID)
		t.must(err)
		if diff := differAll(got, want); diff != "" {
			t.Fatalf("after changing the pages of a subscription, another one yields: %s", diff)
		}
		t.mixed(st, 4)
	}
	t.closeFeed(spoiled)
	t.closeFeed(other)
}

func subscribeRefuses(t *check) {
	st := t.openLog()
	t.mixed(st, 2)
	for field, o := range map[string]store.LogOptions{"": {Backward: true}, "limit": {Limit: -1}} {
		t.inTime(fmt.Sprintf("Subscribe(%+v)", o), func() error {
			err := ends(t.ctx, st, o, func(store.Page) {})
			if got, ok := judge.IsA[*store.InvalidError](err, store.ErrInvalid); !ok || field != "" && got.Field != field {
				return fmt.Errorf("ended with %s, want an *InvalidError about %s", answer(err), field)
			}
			return nil
		})
	}
}
