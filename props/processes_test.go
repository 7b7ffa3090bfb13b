package props_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// Shipping is the process that the laws are tried on: it charges for an order, sends a
// reminder when the payment is late, and ships the order when it is paid.
type (
	Placed struct {
		Order  string
		Amount int
	}
	Paid      struct{ Order string }
	Late      struct{ Order string }
	Shipped   struct{ Order string }
	Cancelled struct{ Order string }
	Viewed    struct{ Page string }

	Charge struct {
		Order  string
		Amount int
	}
	Remind struct{ Order string }
	Ship   struct{ Order string }

	// order is an instance of the process.
	order struct {
		Status string
		Waits  []any
	}

	Shipping  = decider.Process[any, order, any]
	reaction  = decider.Reaction[any, any]
	shipments = props.ProcessSuite[any, order, any]
)

func orderOf(e any) (string, bool) {
	switch e := e.(type) {
	case Placed:
		return e.Order, true
	case Paid:
		return e.Order, true
	case Late:
		return e.Order, true
	case Shipped:
		return e.Order, true
	case Cancelled:
		return e.Order, true
	}
	return "", false
}

func track(o order, e any) order {
	switch e := e.(type) {
	case Placed:
		if o.Status == "" {
			return order{"placed", []any{Charge(e)}}
		}
	case Late:
		if o.Status == "placed" {
			return order{"late", slices.Concat(o.Waits, []any{Remind(e)})}
		}
	case Paid:
		if o.Status == "placed" || o.Status == "late" {
			return order{"paid", []any{Ship(e)}}
		}
	case Shipped, Cancelled:
		return order{Status: "over"}
	}
	return o
}

// follow reacts to what track made of e. It cannot tell whether a redelivered event
// changed nothing, so it may send a command again.
func follow(o order, e any) (r reaction) {
	switch e := e.(type) {
	case Placed:
		if o.Status == "placed" {
			r.Send = o.Waits
			r.Later = []decider.Timer[any]{{Name: "late", After: 24 * time.Hour, Event: Late{e.Order}}}
		}
	case Late:
		if o.Status == "late" {
			r.Send = o.Waits[1:]
		}
	case Paid:
		if o.Status == "paid" {
			r.Send, r.Cancel = o.Waits, []string{"late"}
		}
	case Shipped, Cancelled:
		r.Cancel = []string{"late"}
	}
	return r
}

func shipping() Shipping {
	return Shipping{
		Evolve: track, React: follow, Key: orderOf,
		Pending:  func(o order) []any { return o.Waits },
		Terminal: func(o order) bool { return o.Status == "over" },
	}
}

func shipped(change func(p *Shipping)) shipments {
	p := shipping()
	change(&p)
	return props.Process(p).Any(Placed{}, Paid{}, Late{}, Shipped{}, Cancelled{}).Checks(60)
}

// reacts returns a process that calls f after its reaction to an event of type T.
func reacts[T any](f func(o order, e T, r reaction) reaction) func(p *Shipping) {
	return func(p *Shipping) {
		p.React = func(o order, e any) reaction {
			r := follow(o, e)
			if e, ok := e.(T); ok {
				return f(o, e, r)
			}
			return r
		}
	}
}

func later(name string, after time.Duration, e any) []decider.Timer[any] {
	return []decider.Timer[any]{{Name: name, After: after, Event: e}}
}

func calm(s shipments) shipments {
	return s.Invariant("only three wait", func(o order) error {
		if len(o.Waits) > 3 {
			return fmt.Errorf("%d wait", len(o.Waits))
		}
		return nil
	}).Rule("nothing is shipped unpaid", func(r props.Reacted[any, order, any]) error {
		if slices.Contains(r.Reaction.Send, any(Ship{r.Instance})) && r.After.Status != "paid" {
			return errors.New("shipped")
		}
		return nil
	}).Idempotent()
}

func TestProcess(t *testing.T) {
	t.Parallel()
	bad := func(change func(p *Shipping)) func() props.Inquiry {
		return func() props.Inquiry { return props.ProcessInquiry(calm(shipped(change))) }
	}
	find(t, map[string]flaw{
		"a key of the first letter": {bad(func(p *Shipping) {
			p.Key = func(e any) (string, bool) {
				if e, ok := e.(Paid); ok {
					return e.Order[:1], true
				}
				return orderOf(e)
			}
		}), []string{"key is total"}, 1, false},
		"a payment of nothing": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if _, ok := e.(Paid); ok {
					return order{"paid", o.Waits[1:]}
				}
				return track(o, e)
			}
		}), []string{"evolve is total"}, 1, false},
		"the current time in the state": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				o = track(o, e)
				if _, ok := e.(Paid); ok {
					o.Status += time.Now().Format("2006")
				}
				return o
			}
		}), []string{"evolve is deterministic"}, 1, false},
		"pending commands changed in place": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if e, ok := e.(Late); ok && len(o.Waits) > 0 {
					o.Waits[0] = Remind(e)
					return o
				}
				return track(o, e)
			}
		}), []string{"evolve changes nothing"}, 2, false},
		"pending commands appended to": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				switch e := e.(type) {
				case Placed:
					o.Waits = append(make([]any, 0, 8), Charge(e))
				case Late, Paid:
					o.Waits = append(o.Waits, e)
				}
				return o
			}
		}), []string{"evolve shares no memory"}, 5, false},
		"a start that is shared": {bad(func(p *Shipping) {
			waits := []any{nil}
			p.Initial = func() order { return order{Waits: waits} }
			p.Evolve = func(o order, e any) order {
				if e, ok := e.(Paid); ok {
					waits[0] = Ship(e)
				}
				return track(o, e)
			}
		}), []string{"start is fresh"}, 1, false},
		"a reaction that panics": {bad(reacts(func(o order, _ Late, r reaction) reaction {
			r.Send = o.Waits[1:]
			return r
		})), []string{"react is total"}, 1, false},
		"a pending command that panics": {bad(func(p *Shipping) {
			p.Pending = func(o order) []any {
				if o.Status == "late" {
					return o.Waits[5:]
				}
				return o.Waits
			}
		}), []string{"react is total"}, 2, false},
		"a reaction that marks its event": {func() props.Inquiry {
			type tagged struct{ Tags []string }
			return props.ProcessInquiry(props.Process(decider.Process[tagged, int, any]{
				Key:    func(tagged) (string, bool) { return "", true },
				Evolve: func(n int, _ tagged) int { return n + 1 },
				React: func(_ int, e tagged) (r decider.Reaction[any, tagged]) {
					for i := range e.Tags {
						e.Tags[i] = "seen"
					}
					return r
				},
			}).Any(tagged{}).Checks(60))
		}, []string{"react changes nothing"}, 1, false},
		"a discount by chance": {bad(reacts(func(o order, e Placed, r reaction) reaction {
			r.Send = append(slices.Clone(r.Send), Charge{e.Order, rand.IntN(1000)})
			return r
		})), []string{"react is deterministic"}, 1, false},
		"a pending command by chance": {bad(func(p *Shipping) {
			p.Pending = func(o order) []any {
				if len(o.Waits) == 0 {
					return nil
				}
				return []any{Charge{"", rand.IntN(1000)}}
			}
		}), []string{"react is deterministic"}, 1, false},
		"an instance by chance": {bad(func(p *Shipping) {
			p.Key = func(e any) (string, bool) {
				if e, ok := e.(Paid); ok {
					return e.Order, rand.IntN(2) == 0
				}
				return orderOf(e)
			}
		}), []string{"react is deterministic"}, 5, false},
		"a reminder not on Mondays": {func() props.Inquiry {
			p := shipping()
			reacts(func(o order, e Late, r reaction) reaction {
				if time.Now().Weekday() == time.Monday {
					r.Send = nil
				}
				return r
			})(&p)
			return props.ProcessInquiry(props.Process(p).Any(Placed{Order: "a"}, Late{Order: "a"}).Checks(200))
		}, []string{"react is deterministic"}, 2, false},
		"a panic on Mondays": {func() props.Inquiry {
			p := shipping()
			reacts(func(o order, e Late, r reaction) reaction {
				if now := time.Now(); now.Year() == 2000 && now.Weekday() == time.Monday { // not today, even on a Monday
					panic("closed")
				}
				return r
			})(&p)
			return props.ProcessInquiry(props.Process(p).Any(Placed{Order: "a"}, Late{Order: "a"}).Checks(200))
		}, []string{"react is deterministic"}, 2, false},
		"a reaction that sorts": {bad(reacts(func(o order, e Late, r reaction) reaction {
			slices.Reverse(o.Waits)
			return r
		})), []string{"react changes nothing"}, 2, false},
		"a reaction that remembers": {func() props.Inquiry {
			p := shipping()
			asked := map[any]bool{} // what it has sent, which a replay does not restore
			p.React = func(o order, e any) reaction {
				if _, ok := e.(Placed); ok && asked[e] {
					return reaction{}
				}
				asked[e] = true
				return follow(o, e)
			}
			return props.ProcessInquiry(props.Process(p).Any(Placed{}, Late{}).Checks(60))
		}, []string{"react is deterministic"}, 160, false},
		"a state that counts reactions": {func() props.Inquiry {
			type count struct{ N *int }
			return props.ProcessInquiry(props.Process(decider.Process[any, count, any]{
				Key:     orderOf,
				Initial: func() count { return count{new(int)} },
				Evolve:  func(c count, _ any) count { return c },
				React: func(c count, _ any) (r reaction) {
					*c.N++
					return r
				},
			}).Any(Paid{}).Checks(60))
		}, []string{"replay reacts as live processing did", "react changes nothing"}, 1, false},
		"a timer without a name": {bad(reacts(func(_ order, e Placed, r reaction) reaction {
			r.Later = later("", time.Hour, Late{e.Order})
			return r
		})), []string{"a timer has a name"}, 1, true},
		"two timers of one name": {bad(reacts(func(_ order, e Placed, r reaction) reaction {
			r.Later = slices.Concat(later("late", time.Hour, Late{e.Order}), later("late", time.Minute, Late{e.Order}))
			return r
		})), []string{"a timer has a name"}, 1, true},
		"a timer without an instance": {bad(reacts(func(_ order, e Placed, r reaction) reaction {
			r.Later = later("late", time.Hour, Late{})
			return r
		})), []string{"a timer comes back to its instance"}, 1, true},
		"a timer of no instance": {func() props.Inquiry {
			return props.ProcessInquiry(props.HastyProcess(shipped(func(p *Shipping) {
				p.Key = func(e any) (string, bool) {
					id, ok := orderOf(e)
					_, late := e.(Late)
					return id, ok && !late
				}
			})))
		}, []string{"a timer comes back to its instance"}, 1, false},
		"a timer whose event has no key": {bad(func(p *Shipping) {
			p.Key = func(e any) (string, bool) {
				if _, ok := e.(Viewed); ok {
					panic("not of an order")
				}
				return orderOf(e)
			}
			reacts(func(_ order, _ Placed, r reaction) reaction {
				r.Later = later("late", time.Hour, Viewed{})
				return r
			})(p)
		}), []string{"a timer comes back to its instance"}, 1, true},
		"a timer without an event": {bad(reacts(func(_ order, e Placed, r reaction) reaction {
			r.Later = later("late", time.Hour, nil)
			return r
		})), []string{"a timer comes back to its instance"}, 1, false},
		"a timer that is not expected when paid": {bad(func(p *Shipping) {
			p.React = func(o order, e any) reaction {
				r := follow(o, e)
				if _, ok := e.(Paid); ok {
					r.Cancel = nil
				}
				if _, ok := e.(Late); ok && o.Status == "paid" {
					panic("late, but paid")
				}
				return r
			}
		}), []string{"a timer can fire at any time"}, 2, true},
		"a timer that starts itself": {bad(func(p *Shipping) {
			reacts(func(_ order, e Late, r reaction) reaction {
				r.Later = later("late", 0, e)
				return r
			})(p)
		}), []string{"timers that are due end"}, 1, true},
		"a timer that starts itself after another": {func() props.Inquiry {
			return props.ProcessInquiry(twice(func(r reaction, _ string) reaction { return r }))
		}, []string{"timers that are due end"}, 1, false},
		"a timer that is left running": {bad(reacts(func(_ order, _ Cancelled, r reaction) reaction {
			return reaction{}
		})), []string{"the end of an instance stops its timers"}, 2, true},
		"a misspelt timer": {bad(reacts(func(_ order, _ Cancelled, r reaction) reaction {
			r.Cancel = append(r.Cancel, "lat")
			return r
		})), []string{"every cancelled timer is started sometimes"}, 0, true},
		"a command that is not pending": {bad(func(p *Shipping) {
			p.Pending = func(o order) []any {
				if o.Status == "paid" {
					return nil
				}
				return o.Waits
			}
		}), []string{"every command sent is pending"}, 2, true},
		"a command that was never sent": {bad(func(p *Shipping) {
			p.Pending = func(o order) []any {
				if o.Status == "placed" {
					return append(slices.Clone(o.Waits), Remind{})
				}
				return o.Waits
			}
		}), []string{"every pending command was sent"}, 1, true},
		"an end with a pending command": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if e, ok := e.(Cancelled); ok {
					return order{"over", []any{Remind(e)}}
				}
				return track(o, e)
			}
			p.React = func(o order, e any) reaction {
				r := follow(o, e)
				if _, ok := e.(Cancelled); ok {
					r.Send = o.Waits
				}
				return r
			}
		}), []string{"an ended instance has nothing pending"}, 1, true},
		"a reminder for each delivery": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if e, ok := e.(Late); ok && o.Status != "" && o.Status != "paid" {
					return order{"late", slices.Concat(o.Waits, []any{Remind(e)})}
				}
				return track(o, e)
			}
		}), []string{"events may be redelivered"}, 2, true},
		"a payment that is not checked": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if e, ok := e.(Late); ok && o.Status == "placed" {
					return order{"late", slices.Concat(o.Waits, []any{Ship(e)})}
				}
				return track(o, e)
			}
		}), []string{"nothing is shipped unpaid"}, 2, true},
		"a payment for four": {bad(func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if e, ok := e.(Paid); ok {
					return order{"paid", []any{Ship(e), Ship(e), Ship(e), Ship(e)}}
				}
				return track(o, e)
			}
		}), []string{"only three wait"}, 1, true},
		"an unrelated event": {func() props.Inquiry {
			return props.ProcessInquiry(props.HastyProcess(shipped(func(*Shipping) {}).Any(Viewed{}).Checks(100)))
		}, []string{"every event is handled sometimes"}, 0, false},
	}, func() props.Inquiry { return props.ProcessInquiry(calm(shipped(func(*Shipping) {})).Checks(150)) },
		func() props.Inquiry { // the order ends with a last command when its timer fires, which then needs no stop
			return props.ProcessInquiry(calm(shipped(func(p *Shipping) {
				reacts(func(_ order, e Late, r reaction) reaction {
					r.Send = []any{Remind(e)}
					return r
				})(p)
				p.Evolve = func(o order, e any) order {
					if _, ok := e.(Late); ok {
						return order{Status: "over"}
					}
					return track(o, e)
				}
			})).Checks(20))
		},
		func() props.Inquiry {
			return props.ProcessInquiry(twice(func(r reaction, other string) reaction {
				r.Cancel = []string{other}
				return r
			}))
		},
		func() props.Inquiry {
			return props.ProcessInquiry(twice(func(r reaction, other string) reaction {
				r.Later = later(other, time.Hour, Paid{})
				return r
			}))
		})
}

// twice is a process that starts two timers which are due at once. Stop changes its
// reaction to the first, and should stop the other, which starts itself without end.
func twice(stop func(r reaction, other string) reaction) shipments {
	return props.Process(Shipping{
		Key:    func(any) (string, bool) { return "", true },
		Evolve: track,
		React: func(_ order, e any) (r reaction) {
			switch e.(type) {
			case Placed:
				r.Later = slices.Concat(later("first", 0, Late{}), later("second", 0, Paid{}))
			case Late:
				r = stop(r, "second")
			case Paid:
				r.Later = later("second", 0, Paid{})
			}
			return r
		},
	}).Any(Placed{}).Checks(20)
}

// TestProcessOfTexts checks that events which are not structs are shown and shortened.
func TestProcessOfTexts(t *testing.T) {
	t.Parallel()
	p := decider.Process[string, int, any]{
		Key:    func(string) (string, bool) { return "", true },
		Evolve: func(n int, _ string) int { return n + 1 },
		React:  func(int, string) (r decider.Reaction[any, string]) { return r },
	}
	s := props.Process(p).Events(func(*rapid.T, map[string]int) string { return "tick" }).Checks(20).Invariant("at most two", func(n int) error {
		if n > 2 {
			return errors.New("three")
		}
		return nil
	})
	failures, _, problem := props.Findings(t, props.ProcessInquiry(s))
	if problem != "" || len(failures) != 1 || failures[0].Steps != 3 || !strings.Contains(failures[0].Text, `3  "tick"`) {
		t.Errorf("failures are %v, want one in 3 steps: %s", failures, problem)
	}
}

// TestProcessEvents draws events that fit the instances.
func TestProcessEvents(t *testing.T) {
	t.Parallel()
	props.Process(shipping()).Events(func(t *rapid.T, orders map[string]order) any {
		id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "order")
		switch orders[id].Status {
		case "":
			return Placed{id, rapid.IntRange(1, 9).Draw(t, "amount")}
		case "paid":
			return Shipped{id}
		}
		return rapid.SampledFrom([]any{Paid{id}, Late{id}, Cancelled{id}}).Draw(t, "event")
	}).Rule("amounts are as drawn", func(r props.Reacted[any, order, any]) error {
		if e, ok := r.Event.(Placed); ok && (e.Amount < 1 || r.Instance != e.Order || r.Before.Status != "") {
			return fmt.Errorf("placed %v in %q, which was %v", e, r.Instance, r.Before)
		}
		return nil
	}).Checks(100).Check(t)
}

// TestProcessWithout leaves a law out, and checks that an unknown law is refused.
func TestProcessWithout(t *testing.T) {
	t.Parallel()
	s := shipped(reacts(func(_ order, _ Cancelled, r reaction) reaction { return reaction{} }))
	s.Without("the end of an instance stops its timers").Check(t)
	defer func() {
		if recover() == nil {
			t.Error("Without does not panic on an unknown law")
		}
	}()
	s.Without("the end")
}
