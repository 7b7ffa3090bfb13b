package props_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// flaw is a planted bug: what looks for it, the laws that must report it, and the most
// steps it may take. Golden says that the report is always the same.
type flaw struct {
	look   func() props.Inquiry
	laws   []string
	steps  int
	golden bool
}

// find checks that the flaws are found under the names of their laws, that there is a
// flaw for each law of good, and that nothing is found in good itself.
func find(t *testing.T, flaws map[string]flaw, good ...func() props.Inquiry) {
	t.Helper()
	named := map[string]bool{}
	for name, f := range flaws {
		for _, law := range f.laws {
			named[law] = true
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.find(t, name)
		})
	}
	for i, look := range good {
		t.Run(fmt.Sprint("good ", i), func(t *testing.T) {
			t.Parallel()
			failures, laws, problem := props.Findings(t, look())
			if len(failures) > 0 || problem != "" || len(laws) == 0 {
				t.Errorf("of the laws %v failed %v %s", laws, failures, problem)
			}
			for _, law := range laws {
				if !named[law] {
					t.Errorf("no planted bug breaks the law %q", law)
				}
			}
		})
	}
}

func (f flaw) find(t *testing.T, name string) {
	t.Helper()
	failures, _, problem := props.Findings(t, f.look())
	if problem != "" {
		t.Fatal(problem)
	}
	found := map[string]props.Failure{}
	for _, f := range failures {
		found[f.Law] = f
	}
	for _, law := range f.laws {
		got, ok := found[law]
		if !ok {
			t.Errorf("%q did not fail; these did: %v", law, lawsOf(failures))
			continue
		}
		if got.Steps > f.steps {
			t.Errorf("%q is shown in %d steps, want %d:\n%s", law, got.Steps, f.steps, got.Text)
		}
		t.Log(got.Text)
		if f.golden && law == f.laws[0] {
			golden(t, strings.ReplaceAll(name, " ", "_"), normal(got.Text)+"\n")
		}
	}
	if len(failures) > len(f.laws) {
		t.Log("also:", lawsOf(failures))
	}
}

// fewer is the suite of d with as many histories as a planted bug needs.
func fewer(d Account) Suite { return samples(d).Checks(150) }

// doors is the suite of d without money, so that the way to the end is short.
func doors(d Account) Suite { return props.For(d).Any(Open{}, Close{}).Checks(150) }

// changed is an account that change has broken.
func changed(change func(d *Account)) Account {
	d := account()
	change(&d)
	return d
}

// terse is an account that remembers less.
func terse() decider.Decider[Command, [2]int, Event] {
	open := func(s [2]int) State { return State{Open: s[0] > 0, Closed: s[0] > 1, Balance: s[1]} }
	return decider.Decider[Command, [2]int, Event]{
		Decide: func(c Command, s [2]int) ([]Event, error) { return decide(c, open(s)) },
		Evolve: func(s [2]int, e Event) [2]int {
			switch e := e.(type) {
			case Opened:
				s[0] = 1
			case Deposited:
				s[1] += e.Amount
			case Withdrawn:
				s[1] -= e.Amount
			case Closed:
				s[0] = 2
			}
			return s
		},
		Terminal: func(s [2]int) bool { return s[0] == 2 },
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	sameAs := func(d Account) func() props.Inquiry {
		return func() props.Inquiry { return props.SameInquiry(fewer(account()), d) }
	}
	panicking := changed(func(d *Account) { // the report of that is the task of Check
		d.Decide = func(c Command, s State) ([]Event, error) {
			if _, ok := c.(Close); ok && !s.Open {
				panic("not open")
			}
			return decide(c, s)
		}
	})
	closing := sameAs(changed(func(d *Account) { // then the errors and the ends differ too
		d.Decide = func(c Command, s State) ([]Event, error) {
			events, err := decide(c, s)
			if _, ok := c.(Open); ok && err == nil {
				events = append(events, Closed{})
			}
			return events, err
		}
	}))
	forgetting := sameAs(changed(func(d *Account) {
		d.Decide = func(c Command, s State) ([]Event, error) {
			if w, ok := c.(Withdraw); ok && s.Open && w.Amount > 0 && w.Amount <= limit && !s.Closed {
				return []Event{Withdrawn(w)}, nil
			}
			return decide(c, s)
		}
	}))
	for _, look := range []func() props.Inquiry{closing, forgetting} {
		if failures, _, problem := props.Findings(t, look()); len(failures) != 1 || problem != "" {
			t.Errorf("where the two decide differently, they differ from then on; "+
				"reported is not that alone, but %v %s", lawsOf(failures), problem)
		}
	}
	find(t, map[string]flaw{
		"a rewrite that closes at once": {closing, []string{"both decide the same"}, 1, false},
		"a rewrite that ignores what it should reject": {sameAs(changed(func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				events, err := decide(c, s)
				if errors.Is(err, errBalance) {
					return nil, nil
				}
				return events, err
			}
		})), []string{"both decide the same"}, 3, false},
		"a rewrite that loses the tags": {sameAs(changed(func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if d, ok := c.(Deposit); ok {
					c = Deposit{Amount: d.Amount}
				}
				return decide(c, s)
			}
		})), []string{"both decide the same"}, 2, false},
		"a rewrite that forgets a check": {forgetting, []string{"both decide the same"}, 2, true},
		"a rewrite that panics":          {sameAs(panicking), []string{"both reject with the same error"}, 1, false},
		"an error that errors.Is does not match": {sameAs(decider.MapError(account(), func(err error) error {
			if errors.Is(err, errBalance) {
				return errors.New("no")
			}
			return err
		})), []string{"both reject with the same error"}, 3, false},
		"an end that is missed": {func() props.Inquiry {
			return props.SameInquiry(doors(account()), changed(func(d *Account) { d.Terminal = nil }))
		}, []string{"both end at the same time"}, 2, true},
		"an end at the start": {sameAs(changed(func(d *Account) {
			d.Terminal = func(s State) bool { return s.Closed || !s.Open }
		})), []string{"both end at the same time"}, 0, false},
		"a fold with a different error": {sameAs(changed(func(d *Account) {
			d.Evolve = on(func(s State, e Deposited) State { return moved(s, 2*e.Amount, "in") })
		})), []string{"both decide the same"}, 5, false},
	}, sameAs(account()), func() props.Inquiry { return props.SameInquiry(fewer(account()), terse()) },
		func() props.Inquiry { return props.SameInquiry(fewer(panicking), panicking) },
		sameAs(decider.MapError(account(), func(err error) error { return errors.New(err.Error()) })))
}

// TestSameCombinators checks that combinators which promise to change nothing keep the
// promise.
func TestSameCombinators(t *testing.T) {
	t.Parallel()
	id := func(c Command) Command { return c }
	in := func(e Event) (Event, bool) { return e, true }
	s := fewer(account())
	for name, d := range map[string]Account{
		"MapCommand": decider.MapCommand(account(), id),
		"MapEvent":   decider.MapEvent(account(), in, func(e Event) Event { return e }),
		"MapError":   decider.MapError(account(), func(err error) error { return fmt.Errorf("mapped: %w", err) }),
		"Focus":      decider.Focus(account(), func(s State) State { return s }, func(_, s State) State { return s }),
		"Union":      decider.Union(account().Initial, account()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			props.Same(t, s, d)
		})
	}
}

// purse is the account reduced to its money.
func purse() decider.Decider[int, int, int] {
	d := decider.New(func(amount, balance int) ([]int, error) {
		if balance+amount < 0 {
			return nil, errFunds
		}
		return []int{amount}, nil
	}, func(balance, amount int) int { return balance + amount })
	d.Terminal = func(int) bool { return false }
	return d
}

type money = props.Mapping[Command, State, Event, int, int, int]

func asMoney(change func(m *money)) money {
	m := money{
		Command: func(c Command) (int, bool) {
			switch c := c.(type) {
			case Deposit:
				return c.Amount, true
			case Withdraw:
				return -c.Amount, true
			}
			return 0, false
		},
		State: func(s State) int { return s.Balance },
		Event: func(e Event) (int, bool) {
			switch e := e.(type) {
			case Deposited:
				return e.Amount, true
			case Withdrawn:
				return -e.Amount, true
			}
			return 0, false
		},
		Stricter: true,
	}
	change(&m)
	return m
}

func TestRefines(t *testing.T) {
	t.Parallel()
	concrete := func(change func(d *Account)) func() props.Inquiry {
		return func() props.Inquiry {
			return props.RefinesInquiry(fewer(changed(change)), purse(), asMoney(func(*money) {}))
		}
	}
	abstract := func(change func(*money)) func() props.Inquiry {
		return func() props.Inquiry { return props.RefinesInquiry(doors(account()), purse(), asMoney(change)) }
	}
	find(t, map[string]flaw{
		"a start with a gift": {concrete(func(d *Account) {
			d.Initial = func() State { return State{Balance: 5} }
		}), []string{"it begins where the abstract decider does"}, 0, true},
		"a fee for opening": {concrete(func(d *Account) {
			d.Evolve = on(func(s State, e Opened) State {
				s.Open, s.Balance = true, -1
				return s
			})
		}), []string{"what has no meaning changes nothing", "it evolves as the abstract decider does"}, 1, true},
		"an overdraft of one": {concrete(func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				if w, ok := c.(Withdraw); ok && s.Open && !s.Closed && w.Amount == s.Balance+1 {
					return []Event{Withdrawn(w)}, nil
				}
				return decide(c, s)
			}
		}), []string{"the abstract decider accepts what it accepts"}, 2, true},
		"a rejection too many": {func() props.Inquiry {
			return props.RefinesInquiry(fewer(account()), purse(), asMoney(func(m *money) { m.Stricter = false }))
		}, []string{"the abstract decider rejects what it rejects"}, 1, false},
		"a deposit that is booked twice": {concrete(func(d *Account) {
			d.Decide = func(c Command, s State) ([]Event, error) {
				events, err := decide(c, s)
				if _, ok := c.(Deposit); ok && err == nil {
					events = append(events, events...)
				}
				return events, err
			}
		}), []string{"it decides what the abstract decider decides"}, 2, true},
		"a deposit that subtracts": {concrete(func(d *Account) {
			d.Evolve = on(func(s State, e Deposited) State { return moved(s, -e.Amount, "in") })
		}), []string{"it evolves as the abstract decider does"}, 2, true},
		"an end that the abstract decider lacks": {
			abstract(func(m *money) { m.Stricter = false }),
			[]string{"it ends where the abstract decider does"},
			2, false,
		},
		"an abstract decider that panics": {func() props.Inquiry {
			p := purse()
			p.Decide = func(amount, balance int) ([]int, error) { return []int{amount / balance * balance}, nil }
			return props.RefinesInquiry(fewer(account()), p, asMoney(func(*money) {}))
		}, []string{"the abstract decider accepts what it accepts"}, 2, true},
		"a mapping that panics": {abstract(func(m *money) {
			m.State = func(s State) int {
				if s.Closed {
					panic("closed")
				}
				return s.Balance
			}
		}), []string{"it evolves as the abstract decider does"}, 2, false},
	}, concrete(func(*Account) {}))
}

// TestRefinesParts checks that parts within a whole behave as they do alone.
func TestRefinesParts(t *testing.T) {
	t.Parallel()
	t.Run("one key of many", func(t *testing.T) {
		t.Parallel()
		type (
			key   = decider.Keyed[string, Command]
			event = decider.Keyed[string, Event]
		)
		many := props.For(decider.Many[string](account())).Checks(200).
			Any(key{Value: Open{}}, key{Value: Deposit{Amount: 3}}, key{Value: Withdraw{Amount: 2}}, key{Value: Close{}})
		props.Refines(t, many, account(), props.Mapping[key, map[string]State, event, Command, State, Event]{
			Command:  func(c key) (Command, bool) { return c.Value, c.Key == "a" },
			State:    func(states map[string]State) State { return states["a"] },
			Event:    func(e event) (Event, bool) { return e.Value, e.Key == "a" },
			Stricter: false,
		})
	})
	t.Run("a batch", func(t *testing.T) {
		t.Parallel()
		props.Batches(t, fewer(account()), decider.Batch(account()))
	})
}

func TestAgainst(t *testing.T) {
	t.Parallel()
	type model = props.Model[map[string]int, Command, State]
	good := func() model {
		return model{
			Start: func() map[string]int { return map[string]int{} },
			Next: func(m map[string]int, c Command) (map[string]int, bool) {
				switch c := c.(type) {
				case Deposit:
					if m["open"] != 1 || c.Amount <= 0 || c.Amount > limit {
						return m, false
					}
					m["balance"] += c.Amount
				case Withdraw:
					if m["open"] != 1 || c.Amount <= 0 || c.Amount > m["balance"] || c.Amount > limit {
						return m, false
					}
					m["balance"] -= c.Amount
				case Open:
					if m["open"] != 0 {
						return m, false
					}
					m["open"], m["balance"] = 1, 0
				case Close:
					if m["open"] != 1 || m["balance"] != 0 {
						return m, false
					}
					m["open"] = 2
				}
				return m, true
			},
			Abs: func(s State) map[string]int {
				switch {
				case s.Closed:
					return map[string]int{"open": 2, "balance": 0}
				case s.Open:
					return map[string]int{"open": 1, "balance": s.Balance}
				}
				return map[string]int{}
			},
		}
	}
	against := func(change func(m *model)) func() props.Inquiry {
		return func() props.Inquiry {
			m := good()
			change(&m)
			return props.AgainstInquiry(fewer(account()), m)
		}
	}
	generous := against(func(m *model) {
		m.Next = func(m map[string]int, c Command) (map[string]int, bool) {
			if w, ok := c.(Withdraw); ok && w.Amount > 0 && w.Amount <= limit && m["open"] == 1 {
				m["balance"] -= w.Amount
				return m, true
			}
			return good().Next(m, c)
		}
	})
	if failures, _, problem := props.Findings(t, generous()); len(failures) != 1 || problem != "" {
		t.Errorf("where the model accepts what the decider rejects, the states differ from then on; "+
			"reported is not that alone, but %v %s", lawsOf(failures), problem)
	}
	find(t, map[string]flaw{
		"a model with another start": {against(func(m *model) {
			m.Start = func() map[string]int { return map[string]int{"balance": 1} }
		}), []string{"it begins as the model does"}, 0, true},
		"a model without an overdraft": {generous, []string{"it accepts what the model accepts"}, 2, true},
		"a model that counts": {against(func(m *model) {
			m.Next = func(m map[string]int, c Command) (map[string]int, bool) {
				next, ok := good().Next(m, c)
				if _, deposit := c.(Deposit); deposit && ok {
					next["balance"]++
				}
				return next, ok
			}
		}), []string{"it leads where the model does"}, 2, true},
	}, against(func(*model) {}), against(func(m *model) {
		m.Next = func(m map[string]int, c Command) (map[string]int, bool) {
			next, ok := good().Next(m, c)
			if !ok {
				next = nil // what comes with a rejection does not count
			}
			return next, ok
		}
	}))
}
