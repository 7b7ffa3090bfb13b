package schedule_test

import (
	"context"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// openers is a scenario of n clients that check whether there is an account before they
// open it, which is not enough.
func openers(n int) func(s *schedule.Sim) {
	return func(s *schedule.Sim) {
		inner := memory.New()
		st := s.Store(inner)
		s.Alike(n, func(ctx context.Context) {
			page, err := st.Read(ctx, account, store.ReadOptions{})
			if err == nil && page.Head == 0 {
				_, _ = st.Append(ctx, account, store.Any, []store.Event{{ID: store.NewID(), Type: "Opened"}})
			}
		})
		s.Then(func() {
			if page, err := inner.Read(context.Background(), account, store.ReadOptions{}); page.Head > 1 || err != nil {
				s.Errorf("opened %d times, %v", page.Head, err)
			}
		})
	}
}

// TestStory checks the story of a schedule that fails, word for word.
func TestStory(t *testing.T) {
	t.Parallel()
	_, err := schedule.Explore(t, schedule.Limits{}, openers(2))
	const want = `schedule 2: opened 2 times, <nil>
   1  A reads from 0: head 0
   2  B reads from 0: head 0
   3  A appends 1 at any version: version 1
   4  B appends 1 at any version: version 2`
	if err == nil || err.Error() != want {
		t.Errorf("Explore = %v\nwant %s", err, want)
	}
}

// TestSimulateIsShort checks that a failure of a random search is made short: without
// faults that are not needed, and without a third client that opens.
func TestSimulateIsShort(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		err := schedule.Simulate(t, schedule.Limits{Faults: 3, Schedules: 200, Seed: seed*1000 + 1}, openers(3))
		if err == nil {
			t.Fatal("Simulate found nothing")
		}
		story := err.Error()
		if n := strings.Count(story, "\n"); n > 5 || strings.Contains(story, "down") || strings.Contains(story, "lost") || strings.Contains(story, "lands") {
			t.Errorf("the story has %d steps, want 5 without a fault:\n%s", n, story)
		}
	}
}
