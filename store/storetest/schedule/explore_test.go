package schedule_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

var account = store.Stream{Type: "Account", ID: "acc-1"}

// adder adds an event to the account as a runner does: it reads the version, appends at
// that version, and retries after a conflict or an error without a definite outcome.
func adder(st store.Store, bug string) func(ctx context.Context) error {
	id := store.NewID()
	return func(ctx context.Context) error {
		for attempt := range 10 {
			if bug == "new ids" {
				id = store.NewID()
			}
			if bug == "no second read" && attempt > 0 {
				return nil
			}
			page, err := st.Read(ctx, account, store.ReadOptions{Backward: true, Limit: 1})
			if err != nil {
				continue
			}
			_, err = st.Append(ctx, account, store.Exactly(page.Head), []store.Event{{ID: id, Type: "Added"}})
			if err == nil {
				return nil
			}
			if errors.Is(err, context.Canceled) {
				return err
			}
		}
		return errors.New("too many attempts")
	}
}

// adders is a scenario of n clients, each of which adds one event to the store from
// open.
func adders(n int, open func() store.Store, bug string) func(s *schedule.Sim) {
	return func(s *schedule.Sim) {
		inner := open()
		st := s.Store(inner)
		s.Alike(n, func(ctx context.Context) {
			if err := adder(st, bug)(ctx); err != nil {
				s.Errorf("add = %v", err)
			}
			s.Sayf(ctx, "done")
		})
		s.Then(func() {
			if page, err := inner.Read(context.Background(), account, store.ReadOptions{}); err != nil || page.Head != uint64(n) {
				s.Errorf("%d events from %d clients, %v", page.Head, n, err)
			}
		})
	}
}

func openMemory() store.Store { return memory.New() }

// TestExplore counts schedules. TestExploreLeavesOut shows that these are enough.
func TestExplore(t *testing.T) {
	t.Parallel()
	lost := []faults.Fault{faults.Lost}
	for _, tt := range []struct {
		clients, faults, want int
		kinds                 []faults.Fault
	}{
		{1, 0, 1, nil},
		{1, 1, 7, nil}, // no fault, two down, lost, and late, which lands before the next read, after it, or at the end
		{2, 0, 3, nil},
		{2, 1, 17, lost},
		{2, 1, 94, nil},
		{3, 0, 31, nil},
		{3, 1, 399, lost},
	} {
		t.Run(fmt.Sprintf("%d clients, %d faults of %v", tt.clients, tt.faults, tt.kinds), func(t *testing.T) {
			t.Parallel()
			last := (*schedule.Sim)(nil)
			n, err := schedule.Explore(t, schedule.Limits{Faults: tt.faults, Kinds: tt.kinds}, func(s *schedule.Sim) {
				last = s
				adders(tt.clients, openMemory, "")(s)
			})
			if err != nil {
				t.Error(err)
			}
			if n != tt.want {
				t.Errorf("there were %d schedules, want %d; the last was\n%s", n, tt.want, last.Story())
			}
		})
	}
}

// wrong is a store with one bug.
type wrong struct {
	store.Store
	bug  string
	page store.Page
}

func (w *wrong) Append(ctx context.Context, s store.Stream, e store.Expected, events []store.Event) (store.Appended, error) {
	if w.bug == "writes at any version" {
		e = store.Any
	}
	if w.bug == "forgets what it wrote" {
		return store.Appended{Version: 1}, nil
	}
	return w.Store.Append(ctx, s, e, events)
}

func (w *wrong) Read(ctx context.Context, s store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := w.Store.Read(ctx, s, o)
	if w.bug == "reads stale pages" && o.Backward {
		page, w.page = w.page, page
	}
	return page, err
}

// TestExploreFinds checks that bugs in a store or its clients are found, both in all
// schedules and in random ones, and are shown in few lines.
func TestExploreFinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		store, client string
		faults        int
		says          string
	}{
		{"writes at any version", "", 0, "an append that expected no stream was made at version 1"},
		{"forgets what it wrote", "", 0, "1 events were appended up to version 1, but in the end there are 0"},
		{"reads stale pages", "", 0, "the first call ended before the second began"},
		{"", "new ids", 1, "3 events from 2 clients"},
		{"", "no second read", 1, "1 events from 2 clients"},
	} {
		t.Run(tt.store+tt.client, func(t *testing.T) {
			t.Parallel()
			scene := adders(2, func() store.Store {
				return &wrong{Store: memory.New(), bug: tt.store, page: store.Page{Next: 0, End: true}}
			}, tt.client)
			limits := schedule.Limits{Faults: tt.faults, Seed: 1}
			_, explored := schedule.Explore(t, limits, scene)
			simulated := schedule.Simulate(t, limits, scene)
			for _, err := range []error{explored, simulated} {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("found %v, want %q", err, tt.says)
					continue
				}
				_, story, _ := strings.Cut(err.Error(), "\n   1  ")
				if lines := strings.Count(story, "\n") + 1; story == "" || lines > 8 {
					t.Errorf("the schedule has %d lines:\n%v", lines, err)
				}
			}
			if again := schedule.Simulate(t, limits, scene); again.Error() != simulated.Error() {
				t.Errorf("the same seed first gives\n%v\nand then\n%v", simulated, again)
			}
		})
	}
}

// TestSimulateSeeds checks that the seed determines the schedule, including the random
// numbers of the scene.
func TestSimulateSeeds(t *testing.T) {
	t.Parallel()
	stories := func(limits schedule.Limits) (all []string) {
		err := schedule.Simulate(t, limits, func(s *schedule.Sim) {
			adders(1+s.Random().IntN(3), openMemory, "")(s)
			s.Then(func() { all = append(all, s.Story()) })
		})
		if err != nil {
			t.Error(err)
		}
		return all
	}
	limits := schedule.Limits{Faults: 2, Schedules: 20, Seed: 7}
	first := stories(limits)
	if again := stories(limits); len(first) != 20 || !slices.Equal(again, first) {
		t.Errorf("the same seed gave %q and then %q", first, again)
	}
	limits.Seed++
	if next := stories(limits); !slices.Equal(next[:19], first[1:]) {
		t.Errorf("seed 8 gave %q after %q", next, first)
	}
}

// TestSimulateAgain checks that the flag that a failure names repeats the same failure.
//
//nolint:paralleltest // it changes a flag
func TestSimulateAgain(t *testing.T) {
	scene := adders(3, openMemory, "new ids")
	limits := schedule.Limits{Faults: 2}
	first := schedule.Simulate(t, limits, scene)
	if first == nil {
		t.Fatal("Simulate found nothing in 100 schedules")
	}
	again := regexp.MustCompile(`-(rapid\.seed)=(\d+)`).FindStringSubmatch(first.Error())
	if again == nil {
		t.Fatalf("the failure does not say how to repeat it: %v", first)
	}
	before := flag.Lookup(again[1]).Value.String()
	defer func() { _ = flag.Set(again[1], before) }()
	if err := flag.Set(again[1], again[2]); err != nil {
		t.Fatal(err)
	}
	limits.Schedules = 1
	if second := schedule.Simulate(t, limits, scene); second == nil || second.Error() != first.Error() {
		t.Errorf("the same seed first gives\n%v\nand then\n%v", first, second)
	}
}

// TestExplorePatience checks that a client may give up at every call, that time passes
// while all clients wait, and that the others continue.
func TestExplorePatience(t *testing.T) {
	t.Parallel()
	gaveUp, landed := 0, 0
	n, err := schedule.Explore(t, schedule.Limits{Faults: 1, Kinds: []faults.Fault{}}, func(s *schedule.Sim) {
		inner := memory.New()
		st := s.Store(inner)
		s.Client(func(ctx context.Context) {
			patient, end := s.Patience(ctx)
			defer end()
			time.Sleep(time.Second)
			if err := adder(st, "")(patient); err != nil {
				gaveUp++
			} else {
				landed++
			}
		})
	})
	if err != nil || n != 4 || gaveUp != 3 || landed != 1 {
		t.Errorf("%d schedules, of which %d gave up and %d landed, %v; want 4, 3 and 1", n, gaveUp, landed, err)
	}
}

// TestExploreOfChance checks that a search ends even if the scenario does something
// else each time.
func TestExploreOfChance(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		const most = 10_000
		schedules, err := schedule.Explore(t, schedule.Limits{Faults: 1, Schedules: most}, func(s *schedule.Sim) {
			st := s.Store(memory.New())
			for range 2 {
				reads := random.IntN(4)
				s.Client(func(ctx context.Context) {
					for range reads {
						_, _ = st.Read(ctx, account, store.ReadOptions{})
					}
				})
			}
		})
		if err != nil || schedules == 0 || schedules == most {
			t.Errorf("seed %d: %d schedules, %v", seed, schedules, err)
		}
	}
}

// TestExploreGoesOn checks that a client that never ends is reported.
func TestExploreGoesOn(t *testing.T) {
	t.Parallel()
	_, err := schedule.Explore(t, schedule.Limits{}, func(s *schedule.Sim) {
		st := s.Store(memory.New())
		s.Client(func(ctx context.Context) {
			for range 3000 {
				_, _ = st.Read(ctx, account, store.ReadOptions{})
			}
		})
	})
	if err == nil || !strings.Contains(err.Error(), "the clients are not done after 2000 steps") {
		t.Errorf("Explore = %.200v", err)
	}
}
