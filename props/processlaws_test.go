package props_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/props"
)

// tracks returns a process that calls f after its Evolve by an event of type T.
func tracks[T any](f func(o order, e T) order) func(p *Shipping) {
	return func(p *Shipping) {
		p.Evolve = func(o order, e any) order {
			o = track(o, e)
			if e, ok := e.(T); ok {
				return f(o, e)
			}
			return o
		}
	}
}

// keyless is a process whose Key panics.
func keyless(p *Shipping) {
	p.Key = func(e any) (string, bool) {
		if _, ok := e.(Paid); ok {
			panic("no key")
		}
		return orderOf(e)
	}
}

// tooLate is a process whose React panics.
func tooLate(p *Shipping) {
	reacts(func(order, Late, reaction) reaction { panic("too late") })(p)
}

// chain is a process in which each of n events starts the next one at once.
func chain(n int) func(p *Shipping) {
	return func(p *Shipping) {
		p.Pending = nil
		tracks(func(o order, _ Late) order { return order{"", append(slices.Clip(o.Waits), 1)} })(p)
		reacts(func(o order, e Late, r reaction) reaction {
			if len(o.Waits) < n {
				r.Later = later("next", 0, e)
			}
			return r
		})(p)
	}
}

// TestProcessLaws checks in which step of a history a law is broken, and what is said about it.
func TestProcessLaws(t *testing.T) {
	t.Parallel()
	var (
		a   = []any{Viewed{"x"}, Placed{"a", 5}, Late{"a"}, Paid{"a"}}
		all = slices.Concat(a, []any{Shipped{"a"}})
	)
	var says []string
	for name, tt := range map[string]struct {
		change func(p *Shipping)
		law    string
		events []any
	}{
		"a key that panics":                       {keyless, "key is total", a},
		"a key that panics, for another law":      {keyless, "react is deterministic", a},
		"a reaction that panics, for another law": {tooLate, "replay reacts as live processing did", a},
		"a reaction that panics":                  {tooLate, "react is total", a},
		"a timer that panics when it is due": {func(p *Shipping) {
			tooLate(p)
			react := p.React
			p.React = func(o order, e any) reaction {
				r := react(o, e)
				r.Later = later("late", 0, Late{"a"})
				return r
			}
		}, "timers that are due end", a[:2]},
		"a pending command that panics": {func(p *Shipping) {
			p.Pending = func(o order) []any {
				if o.Status == "late" {
					panic("too late")
				}
				return o.Waits
			}
		}, "react is total", a},
		"a start that changes": {func(p *Shipping) {
			waits := []any{nil}
			p.Initial = func() order { return order{Waits: waits} }
			p.Evolve = func(o order, e any) order {
				waits[0] = e
				return o
			}
		}, "start is fresh", a},
		"reactions by turns": {func(p *Shipping) {
			n := 0
			reacts(func(o order, e Late, r reaction) reaction {
				if n++; n%2 == 0 {
					return reaction{}
				}
				r.Send, r.Cancel, r.Later = append(r.Send, 1), []string{"x", "y"}, slices.Concat(later("z", time.Hour, e), later("w", 0, Paid{"a"}))
				return r
			})(p)
		}, "react is deterministic", a},
		"pending commands by turns": {func(p *Shipping) {
			n := 0
			p.Pending = func(o order) []any {
				n++
				return append(slices.Clone(o.Waits), n%2)
			}
		}, "react is deterministic", a},
		"a key by turns": {func(p *Shipping) {
			n := 0
			p.Key = func(e any) (string, bool) {
				if _, ok := e.(Paid); ok {
					n++
					return "a", n%2 == 1
				}
				return orderOf(e)
			}
		}, "react is deterministic", []any{Placed{"a", 5}, Late{"a"}, Paid{"a"}, Viewed{}}},
		"a reaction that changes its event": {func(p *Shipping) {
			p.Key = func(any) (string, bool) { return "a", true }
			reacts(func(_ order, e *Viewed, r reaction) reaction {
				e.Page += "!"
				return r
			})(p)
		}, "react changes nothing", []any{Placed{"a", 5}, &Viewed{"x"}}},
		"a reaction that changes the state": {reacts(func(o order, _ Late, r reaction) reaction {
			o.Waits[0] = nil
			return r
		}), "react changes nothing", a},
		"a reaction that evolves": {func(p *Shipping) {
			p.Initial = func() order { return order{Waits: []any{0}} }
			p.Evolve = func(o order, e any) order {
				o.Status += fmt.Sprint(o.Waits[0])
				return o
			}
			p.React = func(o order, e any) reaction {
				o.Waits[0] = fmt.Sprint(o.Waits[0], "+")
				return reaction{}
			}
		}, "replay reacts as live processing did", a},
		"a reaction that remembers": {func(p *Shipping) {
			n := 0
			reacts(func(_ order, _ Late, r reaction) reaction {
				if n++; n > 1 {
					r.Send = nil
				}
				return r
			})(p)
		}, "replay reacts as live processing did", a},
		"a command that is not pending": {func(p *Shipping) {
			p.Pending = func(o order) []any { return o.Waits[:min(1, len(o.Waits))] }
		}, "every command sent is pending", a},
		"a command that another instance sent": {func(p *Shipping) {
			p.Pending = func(o order) []any {
				if o.Status == "late" {
					return []any{Charge{"b", 5}}
				}
				return o.Waits
			}
		}, "every pending command was sent", []any{Placed{"b", 5}, Placed{"a", 5}, Late{"a"}}},
		"a pending command at the end": {tracks(func(o order, e Shipped) order {
			o.Waits = []any{Ship(e)}
			return o
		}), "an ended instance has nothing pending", all},
		"a timer without a name": {reacts(func(_ order, e Late, r reaction) reaction {
			r.Later = slices.Concat(later("x", 1, e), later("", time.Hour, e))
			return r
		}), "a timer has a name", a},
		"two timers of one name": {reacts(func(_ order, e Late, r reaction) reaction {
			r.Later = slices.Concat(later("x", 1, e), later("y", 1, e), later("x", 1, e))
			return r
		}), "a timer has a name", a},
		"a timer without an event": {reacts(func(_ order, e Late, r reaction) reaction {
			r.Later = slices.Concat(later("x", 1, e), later("y", 1, nil))
			return r
		}), "a timer comes back to its instance", a},
		"a timer without a key": {reacts(func(_ order, _ Late, r reaction) reaction {
			r.Later = later("x", 1, Viewed{"a"})
			return r
		}), "a timer comes back to its instance", a},
		"a timer of another instance": {reacts(func(_ order, _ Late, r reaction) reaction {
			r.Later = later("x", 1, Late{"b"})
			return r
		}), "a timer comes back to its instance", a},
		"a timer that fails": {func(p *Shipping) {
			p.React = func(o order, e any) reaction {
				if _, ok := e.(Late); ok && o.Status == "paid" {
					panic("late, but paid")
				}
				r := follow(o, e)
				r.Cancel = nil
				return r
			}
		}, "a timer can fire at any time", []any{Placed{"a", 5}, Placed{"b", 5}, Late{"b"}, Paid{"b"}, Paid{"a"}}},
		"a timer that starts itself": {reacts(func(_ order, e Late, r reaction) reaction {
			r.Later = slices.Concat(later("x", 0, e), later("y", 0, e), later("z", 1, e))
			return r
		}), "timers that are due end", a},
		"a timer that is left running": {reacts(func(_ order, _ Shipped, r reaction) reaction {
			return reaction{}
		}), "the end of an instance stops its timers", []any{Placed{"a", 5}, Shipped{"b"}, Placed{"b", 5}, Shipped{"a"}}},
		"an event that counts": {tracks(func(o order, _ Paid) order {
			o.Waits = append(slices.Clip(o.Waits), 1)
			return o
		}), "events may be redelivered", []any{Paid{"a"}}},
		"two events that count": {func(p *Shipping) {
			p.Evolve = func(o order, e any) order { // counts how often the kind of event changes
				if kind := fmt.Sprintf("%T", e); kind != o.Status {
					return order{kind, append(slices.Clip(o.Waits), 1)}
				}
				return o
			}
		}, "events may be redelivered", []any{Placed{"b", 5}, Paid{"a"}, Placed{"b", 5}, Late{"a"}}},
		"another charge for a redelivered event": {reacts(func(o order, e Placed, r reaction) reaction {
			if o.Status == "late" {
				r.Send = []any{Charge{e.Order, 0}}
			}
			return r
		}), "events may be redelivered", []any{Placed{"b", 5}, Placed{"a", 5}, Late{"a"}}},
		"a chain of timers that is too long": {chain(102), "timers that are due end", []any{Late{"a"}}},
		"a rule": {func(p *Shipping) {
			p.Initial = func() order { return order{Waits: []any{0}} }
		}, "nothing is paid at once", []any{Placed{"b", 5}, Paid{"a"}, Shipped{"a"}}},
	} {
		s := calm(shipped(tt.change)).Rule("nothing is paid at once", func(r props.Reacted[any, order, any]) error {
			if _, ok := r.Event.(Paid); ok && r.Before.Status == "" {
				return fmt.Errorf("%+v", r)
			}
			return nil
		})
		says = append(says, fmt.Sprintf("%s: %s\n\t%s\n", name, tt.law, strings.ReplaceAll(props.ProcessBreach(t, s, tt.law, tt.events...), "\n", "\n\t")))
	}
	slices.Sort(says)
	golden(t, "process_laws", normal(strings.Join(says, "")))
}

// TestProcessKeepsLaws checks that no law says anything about correct processes.
func TestProcessKeepsLaws(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(p *Shipping)
		events []any
		only   string // this law
	}{
		"events that are not handled": {func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if _, ok := orderOf(e); !ok || o.Status == "over" {
					panic("not handled")
				}
				return track(o, e)
			}
			p.React = func(o order, e any) reaction {
				_, last := e.(Shipped)
				if _, ok := orderOf(e); !ok || o.Status == "over" && !last {
					panic("not handled")
				}
				return follow(o, e)
			}
		}, []any{Viewed{}, Placed{"a", 5}, Viewed{}, Shipped{"a"}, Placed{"a", 5}, Late{"a"}, Viewed{}, Placed{"b", 5}}, ""},
		"nothing is pending": {func(p *Shipping) { p.Pending = nil }, []any{Placed{"a", 5}, Late{"a"}, Paid{"a"}, Shipped{"a"}}, ""},
		"a last command": {func(p *Shipping) {
			tracks(func(order, Late) order { return order{Status: "over"} })(p)
			reacts(func(_ order, e Late, r reaction) reaction {
				r.Send = []any{Remind(e)}
				return r
			})(p)
		}, []any{Placed{"a", 5}, Late{"a"}}, ""},
		"several timers": {reacts(func(_ order, e Placed, r reaction) reaction {
			r.Later = slices.Concat(r.Later, later("later", time.Hour, Late{e.Order}))
			return r
		}), []any{Placed{"a", 5}}, ""},
		"a timer that is replaced": {func(p *Shipping) {
			p.React = func(o order, e any) reaction {
				r := follow(o, e)
				switch e := e.(type) {
				case Late:
					if o.Status == "paid" {
						panic("late, but paid")
					}
				case Paid:
					r.Cancel, r.Later = nil, later("late", time.Hour, Shipped(e))
				}
				return r
			}
		}, []any{Placed{"a", 5}, Paid{"a"}, Shipped{"a"}}, ""},
		"a timer that fires once": {func(p *Shipping) {
			p.Evolve = func(o order, e any) order {
				if _, ok := e.(Late); ok && o.Status == "late" {
					panic("late again")
				}
				return track(o, e)
			}
		}, []any{Placed{"a", 5}, Late{"a"}}, "a timer can fire at any time"},
		"a chain of timers": {chain(101), []any{Late{"a"}}, ""},
		"a timer that ends its instance": {func(p *Shipping) {
			tracks(func(order, Late) order { return order{Status: "over"} })(p)
			p.React = func(_ order, e any) (r reaction) {
				r.Later = later("late", 0, Late{"a"})
				return r
			}
		}, []any{Placed{"a", 5}}, "timers that are due end"},
		"a timer that fails after the end": {func(p *Shipping) {
			p.React = func(o order, e any) reaction {
				if _, ok := e.(Late); ok {
					panic("too late")
				}
				return reaction{Later: later("late", time.Hour, Late{"a"})}
			}
		}, []any{Shipped{"a"}}, "a timer can fire at any time"},
		"an event that comes early": {func(*Shipping) {}, []any{Late{"a"}, Placed{"a", 5}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := shipped(tt.change)
			if tt.only == "" && name != "a chain of timers" {
				s = calm(s)
			}
			for _, law := range props.ProcessLaws(s) {
				if tt.only != "" && tt.only != law {
					continue
				}
				if got := props.ProcessBreach(t, s, law, tt.events...); got != "no breach" {
					t.Errorf("%q says\n%s", law, got)
				}
			}
		})
	}
}

// stamped is an event with fields that cannot be made smaller together with the others.
type stamped struct {
	Order string
	Times int
	by    string
}

// TestProcessReport checks which history a report shows, and how.
func TestProcessReport(t *testing.T) {
	t.Parallel()
	calls := 0
	var says []string
	for name, tt := range map[string]struct {
		process shipments
		law     string
		events  []any
	}{
		"an id that becomes empty": {shipped(func(*Shipping) {}), "no order is late", []any{
			Placed{"order-2", 7}, Placed{"order-1", 5}, Late{"order-1"}, Paid{"order-1"},
		}},
		"an id that must not be empty": {shipped(func(p *Shipping) {
			p.Key = func(e any) (string, bool) {
				id, _ := orderOf(e)
				return id, id != ""
			}
		}), "no order is late", []any{Placed{"order-2", 7}, Placed{"order-1", 5}, Late{"order-1"}}},
		"an id that a sample sets": {
			props.Process(shipping()).Any(Placed{Order: "order-1"}, Late{Order: "order-1"}), "no order is late",
			[]any{Placed{"order-1", 7}, Late{"order-1"}},
		},
		"other fields and other events": {shipped(func(p *Shipping) {
			p.Key = func(e any) (string, bool) {
				switch e := e.(type) {
				case stamped:
					return e.Order, true
				case string:
					return "order-1", true
				}
				return orderOf(e)
			}
			p.Evolve = func(o order, e any) order {
				if _, ok := e.(string); ok && o.Status == "placed" {
					o.Status = "noted"
				}
				if _, ok := e.(stamped); ok && o.Status == "noted" {
					return order{Status: "late"}
				}
				return track(o, e)
			}
		}), "no order is late", []any{"order-2", Placed{"order-1", 5}, "order-1", stamped{"order-1", 3, "order-1"}}},
		"an end":               {shipped(func(*Shipping) {}), "no order is over", []any{Placed{"a", 5}, Paid{"a"}, Shipped{"a"}}},
		"what cannot be found": {shipped(func(*Shipping) {}), "no order is late", []any{Placed{"a", 5}, Placed{"b", 5}}},
		"what is seldom found": {shipped(func(*Shipping) {}).Rule("the third time is wrong", func(props.Reacted[any, order, any]) error {
			if calls++; calls == 3 {
				return errors.New("it is the third")
			}
			return nil
		}), "the third time is wrong", []any{Placed{"a", 5}}},
		"the start": {shipped(func(p *Shipping) {
			n := 0
			p.Initial = func() order {
				n++
				return order{Status: strings.Repeat("x", min(n, 2))}
			}
		}), "start is fresh", []any{Placed{"a", 5}}},
		"what only comes on Mondays": {shipped(func(p *Shipping) {
			reacts(func(_ order, _ Late, r reaction) reaction {
				if time.Now().Weekday() == time.Monday {
					r.Cancel = []string{"x"}
				}
				return r
			})(p)
		}), "react is deterministic", []any{Late{"a"}}},
	} {
		s := tt.process.Rule("no order is late", func(r props.Reacted[any, order, any]) error {
			if r.Before.Status != "late" && r.After.Status == "late" {
				return errors.New("it is late")
			}
			return nil
		}).Invariant("no order is over", func(o order) error {
			if o.Status == "over" {
				return errors.New("it is over")
			}
			return nil
		})
		text, steps := props.ProcessReport(t, s, tt.law, tt.events...)
		if runs := regexp.MustCompile(`\((\d+) runs\)`).FindStringSubmatch(text); runs != nil && len(runs[1]) > 3 {
			t.Errorf("%s: shrinking takes %s runs", name, runs[1])
		}
		says = append(says, fmt.Sprintf("%s, in %d steps\n%s\n\n", name, steps, normal(text)))
	}
	slices.Sort(says)
	golden(t, "process_reports", strings.Join(says, ""))
}

// TestProcessTrace checks what a report says about each event.
func TestProcessTrace(t *testing.T) {
	t.Parallel()
	s := shipped(reacts(func(_ order, e Paid, _ reaction) reaction { panic("paid " + e.Order) }))
	long := strings.Repeat("long ", 30)
	got := props.ProcessTrace(s, 2, []any{
		Viewed{"x"}, Placed{"a", 5}, Placed{long, 5}, Late{"b"}, Paid{"a"}, Shipped{"a"}, Paid{"a"}, Cancelled{long}, Placed{}, Placed{},
	}...)
	golden(t, "process_trace", normal(strings.Join(got, "\n"))+"\n")
}
