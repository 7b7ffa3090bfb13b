package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest/faults"
	"github.com/evolvego/evolve/store/storetest/schedule"
)

// counter counts the events 1 to 3 in a document, each once, even if others do so too;
// the checkpoint says how far it has come. It has at most one bug.
type counter struct {
	bug    string
	target faults.Updater[*memory.Tx]
	at     store.Checkpoint // the remembered checkpoint
	known  bool             // whether at is set
}

var errBehind = errors.New("another counter got there first")

func (c *counter) run(ctx context.Context) error {
	for attempts := range 20 {
		done, err := c.next(ctx)
		switch {
		case done:
			return nil
		case err != nil && c.bug == "the checkpoint is not read again":
		case err != nil:
			c.known = false
		}
		if attempts == 19 {
			return fmt.Errorf("too many attempts: %w", err)
		}
	}
	return nil
}

// next counts one more event; it reports whether there are no more.
func (c *counter) next(ctx context.Context) (done bool, err error) {
	next := c.at
	err = c.target.Update(ctx, func(tx *memory.Tx) error {
		if !c.known {
			if c.at, err = tx.LoadCheckpoint("counter"); err != nil {
				return err
			}
			c.known = true
		}
		if c.at.Position == 3 {
			done = true
			return nil
		}
		next = store.Checkpoint{Position: c.at.Position + 1, EventID: "e"}
		err := tx.SaveCheckpoint("counter", c.at, next)
		if err != nil && c.bug != "a conflict is ignored" {
			return errors.Join(errBehind, err)
		}
		if c.bug == "remembered before the commit" {
			c.at = next
		}
		docs, err := tx.LoadDocuments("count", []string{"all"})
		if err != nil {
			return err
		}
		return tx.SaveDocuments([]store.Document{{Kind: "count", ID: "all", Data: append(docs[0].Data, 'x')}})
	})
	if err != nil && c.bug == "remembered before the commit" {
		return false, nil // it continues with what it remembers
	}
	if err == nil {
		c.at = next
	}
	return done, err
}

// counters is a scenario of n counters. At the end, the checkpoint and the document
// must agree.
func counters(n int, bug string) func(s *schedule.Sim) {
	return func(s *schedule.Sim) {
		m := memory.New()
		target := schedule.AddTarget(s, m)
		s.Alike(n, func(ctx context.Context) {
			if err := (&counter{bug: bug, target: target}).run(ctx); err != nil {
				s.Errorf("count = %v", err)
			}
		})
		s.Then(func() {
			docs, err := m.LoadDocuments(context.Background(), "count", []string{"all"})
			if got := string(docs[0].Data); got != "xxx" || err != nil {
				s.Errorf("counted %q, %v; want xxx", got, err)
			}
		})
	}
}

// TestExploreTransactions checks that a correct reader passes in every schedule, and
// that each bug is found with as few faults as it needs.
func TestExploreTransactions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		bug     string
		clients int
		limits  schedule.Limits
		want    string // part of the message about the first schedule that fails
	}{
		"right alone":                 {"", 1, schedule.Limits{Faults: 3}, ""},
		"correct next to another one": {"", 2, schedule.Limits{Faults: 1}, ""},
		"conflict ignored":            {"a conflict is ignored", 2, schedule.Limits{}, "counted"},
		"remembered too early":        {"remembered before the commit", 1, schedule.Limits{Faults: 1, Kinds: []faults.Fault{faults.Undone}}, "A updates: undone"},
		"answer taken for none":       {"the checkpoint is not read again", 1, schedule.Limits{Faults: 1, Kinds: []faults.Fault{faults.Lost}}, "A updates: lost"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := schedule.Explore(t, tt.limits, counters(tt.clients, tt.bug))
			t.Log(n, err)
			if tt.want == "" && err != nil {
				t.Errorf("Explore = %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Explore of a reader with the bug %q = %v, want an error that says %q", tt.bug, err, tt.want)
			}
		})
	}
}

// TestExploreTransactionsLeavesNothingOut checks that Explore finds the same outcomes
// as every schedule.
func TestExploreTransactionsLeavesNothingOut(t *testing.T) {
	t.Parallel()
	limits := schedule.Limits{Faults: 1}
	outcomes := func(explore func(*testing.T, schedule.Limits, func(*schedule.Sim)) (int, error)) (map[string]bool, int) {
		all := map[string]bool{}
		n, err := explore(t, limits, func(s *schedule.Sim) {
			m := memory.New()
			target := schedule.AddTarget(s, m)
			said := make([]string, 2)
			for i := range said {
				s.Client(func(ctx context.Context) {
					var saw store.Checkpoint
					err := target.Update(ctx, func(tx *memory.Tx) (err error) {
						if saw, err = tx.LoadCheckpoint("c"); err != nil {
							return err
						}
						return tx.SaveCheckpoint("c", saw, store.Checkpoint{Position: saw.Position + uint64(i) + 1, EventID: "e"})
					})
					refused := target.Update(ctx, func(tx *memory.Tx) (err error) {
						if saw, err = tx.LoadCheckpoint("c"); err == nil {
							err = errBehind
						}
						return err
					})
					said[i] = fmt.Sprint(err, refused, saw)
				})
			}
			s.Then(func() {
				c, err := m.LoadCheckpoint(context.Background(), "c")
				all[fmt.Sprint(c, err, said)] = true
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		return all, n
	}
	few, n := outcomes(schedule.Explore)
	every, most := outcomes(schedule.ExploreEvery)
	if len(few) != len(every) || len(few) < 10 {
		t.Errorf("Explore finds %d outcomes in %d schedules, but there are %d in %d", len(few), n, len(every), most)
	}
	if n >= most {
		t.Errorf("Explore tries %d schedules of %d: it skips none", n, most)
	}
}

// TestCall checks that a message may be sent twice or not at all, and what the story
// says about it.
func TestCall(t *testing.T) {
	t.Parallel()
	outcomes := map[int]bool{}
	_, err := schedule.Explore(t, schedule.Limits{Faults: 1}, func(s *schedule.Sim) {
		sent := 0
		send := func(ctx context.Context) error {
			return s.Call(ctx, "sends", func() error { sent++; return nil })
		}
		s.Client(func(ctx context.Context) {
			if err := send(ctx); err != nil {
				if !errors.Is(err, faults.ErrInjected) {
					s.Errorf("Call = %v", err)
				}
				_ = send(ctx)
			}
		})
		s.Then(func() {
			outcomes[sent] = true
			if sent == 2 && !strings.Contains(s.Story(), "A sends: lost\n") {
				s.Errorf("the story is %s", s.Story())
			}
		})
	})
	if err != nil || !outcomes[1] || !outcomes[2] || len(outcomes) != 2 {
		t.Errorf("Explore = %v, and the message is sent %v times", err, outcomes)
	}
}
