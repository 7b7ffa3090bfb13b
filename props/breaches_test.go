package props_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

var (
	opens    Command = Open{"ann"}
	deposits Command = Deposit{Amount: 5}
	takes    Command = Withdraw{3}
	takesAll Command = Withdraw{5}
)

// once lets Evolve write the totals of the state that it evolves by a withdrawal of too
// much, but only one time.
func once(d *Account) {
	written := false
	d.Evolve = on(func(s State, e Withdrawn) State {
		if s.Totals != nil && e.Amount > s.Balance && !written {
			written = true
			s.Totals["written"]++
		}
		return evolve(s, e)
	})
}

// borrowing keeps the tags of the last deposit and sorts them when something is
// withdrawn.
func borrowing(d *Account) {
	var tags []string
	d.Decide = func(c Command, s State) ([]Event, error) {
		switch c := c.(type) {
		case Deposit:
			tags = c.Tags
			return []Event{Deposited{Amount: c.Amount}}, nil
		case Withdraw:
			slices.Sort(tags)
		}
		return decide(c, s)
	}
}

// wrongInPlace adds one to the balance of each withdrawal of 7 in place.
func wrongInPlace(d *Account) {
	d.EvolveInPlace = func(s *State, e Event) {
		*s = evolve(*s, e)
		if w, ok := e.(Withdrawn); ok && w.Amount == 7 {
			s.Balance++
		}
	}
}

// counting lets f change its state, so that the next answer differs.
func counting(s State) State {
	if s.Totals != nil {
		s.Totals["asked"]++
		s.Balance += s.Totals["asked"]
	}
	return s
}

// breaches returns how histories break a law, or do not, by what happens.
func breaches(t *testing.T) map[string]string {
	t.Helper()
	breaks := func(s Suite, law string, cmds ...Command) string { return props.Breach(t, s, law, cmds...) }
	return map[string]string{
		"decide is total":                breaks(planted["a division by zero in decide"].suite(), "decide is total", takes, opens, takes),
		"decide is total, until":         breaks(planted["a division by zero in decide"].suite(), "decide is total", takes, opens, deposits, takes),
		"decide changes its command":     breaks(planted["tags sorted in the command"].suite(), "decide changes nothing", opens, Deposit{5, []string{"b", "a"}}),
		"decide changes its state":       breaks(planted["decide writes the totals"].suite(), "decide changes nothing", deposits, opens, deposits, takes),
		"decide changes nothing":         breaks(samples(account()), "decide changes nothing", takes, opens, deposits, takes),
		"a rejection has events":         breaks(planted["events beside an error"].suite(), "a rejection has no events", deposits, opens, takes),
		"a rejection has no events":      breaks(samples(account()), "a rejection has no events", deposits, opens, takes),
		"an event is nil":                breaks(planted["a nil event"].suite(), "events are real", Close{}, opens, Close{}),
		"evolve panics":                  breaks(planted["a panic in evolve"].suite(), "evolve is total", takes, opens, deposits, takes),
		"evolve panics on an old stream": breaks(plant(brittleOpen)(), "evolve is total", deposits, opens, deposits, takes, takes),
		"evolve panics on an event that was not accepted": breaks(plant(func(d *Account) {
			rejectingWithdrawals(d)
			d.Evolve = on(func(s State, e Closed) State { panic("it stays open") })
		})(), "evolve is total", opens, takes),
		"evolve changes its event":               breaks(planted["tags of an event sorted"].suite(), "evolve changes nothing", takes, opens, Deposit{5, []string{"b", "a"}}),
		"evolve changes its state":               breaks(planted["totals written in place"].suite(), "evolve changes nothing", takes, opens, deposits, takes),
		"evolve changes nothing":                 breaks(samples(account()), "evolve changes nothing", takes, opens, deposits, takes),
		"in place, the third of its kind":        breaks(plant(wrongInPlace)(), "evolve in place is evolve", takes, opens, Deposit{Amount: 50}, Withdraw{1}, Withdraw{2}, Withdraw{7}),
		"in place, another event of the history": breaks(plant(wrongInPlace)(), "evolve in place is evolve", opens, Deposit{Amount: 50}, Withdraw{7}),
		"in place, a panic":                      breaks(planted["a panic in place"].suite(), "evolve in place is evolve", opens, deposits, takes),
		"in place, a shared map":                 breaks(planted["a map that is changed in place"].suite(), "evolve in place is evolve", opens, deposits, takes),
		"in place, correct":                      breaks(plant(wrongInPlace)(), "evolve in place is evolve", opens, deposits, Withdraw{1}, Withdraw{2}),
		"a shared slice":                         breaks(planted["append to a shared slice"].suite(), "evolve shares no memory", takes, opens, deposits, Deposit{Amount: 6}, Deposit{Amount: 7}, takes),
		"a shared map, once":                     breaks(plant(once)(), "evolve shares no memory", opens, deposits, takesAll, Close{}),
		"a shared map, but decide is impure": breaks(plant(func(d *Account) {
			once(d)
			d.Decide = func(c Command, s State) ([]Event, error) { return decide(c, counting(s)) }
		})(), "evolve shares no memory", opens, deposits, takesAll, Close{}),
		"a shared map, but evolve is impure":       breaks(plant(func(d *Account) { d.Evolve = func(s State, e Event) State { return evolve(counting(s), e) } })(), "evolve shares no memory", opens, deposits, takesAll, Close{}),
		"no shared memory":                         breaks(samples(account()), "evolve shares no memory", opens, deposits, Deposit{Amount: 6}, Deposit{Amount: 7}, takes, Close{}),
		"the start changes":                        breaks(planted["a start in a package variable"].suite(), "the past does not change", opens),
		"a state of the past changes":              breaks(planted["totals written in place"].suite(), "the past does not change", takes, opens, deposits, takes),
		"a command of the past changes":            breaks(plant(borrowing)(), "the past does not change", opens, Deposit{5, []string{"b", "a"}}, takes),
		"events of the past change":                breaks(planted["one buffer for all decisions"].suite(), "the past does not change", takes, opens, deposits),
		"the past does not change":                 breaks(samples(account()), "the past does not change", takes, opens, deposits, takes),
		"the next start":                           breaks(planted["a start in a package variable"].suite(), "start is fresh", takes, opens),
		"replay":                                   breaks(planted["a counter beside evolve"].suite(), "replay gives the same state", takes, opens, deposits),
		"replay is the same":                       breaks(samples(account()), "replay gives the same state", takes, opens, deposits),
		"a command at the end":                     breaks(planted["a deposit to a closed account"].suite(), "a terminal state stays", opens, deposits, takesAll, Close{}),
		"an event after the end":                   breaks(planted["a way out of a terminal state"].suite(), "a terminal state stays", opens, Close{}),
		"an end that stays":                        breaks(samples(account()), "a terminal state stays", opens, deposits, takesAll, Close{}, opens),
		"an end with events beside errors":         breaks(planted["events beside an error"].suite(), "a terminal state stays", opens, Close{}, opens),
		"an end with a command that is not valid":  breaks(planted["a deposit to a closed account"].suite().Valid(whileOpen), "a terminal state stays", opens, deposits, takesAll, Close{}),
		"an end with accepted commands, no events": breaks(plant(silentEnd)(), "a terminal state stays", opens, Close{}, opens),
		"no end": breaks(planted["a deposit after the end"].suite(), "a terminal state stays", opens, deposits, takesAll, Close{}),

		"an invariant":                          breaks(samples(account()).Invariant("at most 3", atMost3), "at most 3", opens, deposits),
		"an invariant, at first":                breaks(planted["a start that breaks the invariant"].suite(), "balance is never negative", opens),
		"an invariant that holds":               breaks(samples(account()).Invariant("at most 3", atMost3), "at most 3", opens, takes),
		"a rule":                                breaks(planted["a deposit after the end"].suite(), "a closed account decides nothing", opens, Close{}, deposits),
		"a rule that panics":                    breaks(planted["a rule that panics"].suite(), "no rule", opens, Close{}, takes),
		"a rule of no owner":                    breaks(planted["a rule that panics"].suite(), "no rule", Close{}),
		"a plan":                                breaks(planted["a close that is unreachable"].suite(), "an open account can be closed", opens, deposits, takes),
		"a plan that works":                     breaks(planted["a close that is unreachable"].suite(), "an open account can be closed", opens),
		"no plan, at first":                     breaks(planted["a start from which nothing is possible"].suite(), "an account can be opened", opens),
		"a plan that panics":                    breaks(samples(account()).Possible("planned", isOpen, func(State) []Command { panic("no plan") }, isClosed), "planned", takes, opens),
		"repeated":                              breaks(planted["a close that is booked twice"].suite(), "a repeated command changes nothing", takes, opens, deposits, takesAll, Close{}),
		"repeated, of all kinds":                breaks(samples(account()).Idempotent(), "a repeated command changes nothing", opens, deposits),
		"repeated, not valid":                   breaks(planted["a close that is booked twice"].suite().Valid(whileOpen), "a repeated command changes nothing", opens, Close{}),
		"repeated, other kinds":                 breaks(samples(account()).Idempotent(Open{}, Close{}), "a repeated command changes nothing", opens, deposits),
		"repeated, with events beside an error": breaks(planted["events beside an error"].suite().Idempotent(), "a repeated command changes nothing", opens, takes, Close{}, Close{}),
		"undeclared":                            breaks(planted["an undeclared error"].suite(), "rejections are declared", opens, takes, opens, takes),
		"a law before the declaration":          breaks(samples(account()).Invariant("at most 3", atMost3).Rejections(errOpen), "at most 3", opens, deposits),
		"declared by two calls":                 breaks(samples(account()).Rejections(errOpen).Rejections(errNotOpen), "rejections are declared", takes),
		"undeclared, not open":                  breaks(planted["an undeclared error"].suite(), "rejections are declared", takes),

		"not registered":                  breaks(planted["an event that is not registered"].suite(), "every event encodes", takes, opens, deposits, takes),
		"a panic of the codec":            breaks(planted["a codec that panics"].suite(), "every event encodes", opens, Deposit{1, []string{"a", "b"}}),
		"text that came with the command": breaks(plant(farewell)().Codec(wrong{}), "every event encodes", Open{"\xff"}),
		"text that came with the state":   breaks(plant(farewell)().Codec(wrong{}), "every event encodes", Open{"\xff"}, Close{}),
		"text that was cut":               breaks(plant(cutting)().Codec(wrong{}), "every event encodes", Open{"日本"}),
		"not registered, odd command":     breaks(plant(untagged)().Codec(wrong{encode: noDeposit}), "every event encodes", opens, Deposit{1, []string{"\xff"}}),
		"does not survive":                breaks(planted["a codec that loses a field"].suite(), "events survive encoding", opens, Deposit{5, []string{"a"}}),
		"decodes to nothing":              breaks(planted["a codec that drops events"].suite(), "events survive encoding", opens, Close{}),
		"does not decode":                 breaks(samples(account()).Codec(besides{wrong{}}), "events survive encoding", opens, Close{}),
		"data that differs":               breaks(planted["data that differs each time"].suite(), "encoding is stable", takes, opens),
		"data that differs late":          breaks(samples(account()).Codec(late()), "encoding is stable", opens),
		"names that differ":               breaks(planted["names that differ each time"].suite(), "encoding is stable", opens),
		"schemas that differ":             breaks(planted["schemas that differ each time"].suite(), "encoding is stable", opens),
		"content types that differ":       breaks(planted["content types that differ each time"].suite(), "encoding is stable", opens),
		"no second encoding":              breaks(planted["an event that encodes every second time"].suite(), "encoding is stable", opens),
		"one name for two types":          breaks(planted["one name for both directions"].suite(), "names tell events apart", opens, deposits, takes),
		"two names for a type":            breaks(planted["two names for deposits"].suite(), "names tell events apart", opens, Deposit{Amount: 60}, deposits),
		"names":                           breaks(samples(account()).Codec(wrong{}), "names tell events apart", opens, Deposit{Amount: 60}, deposits, takes),
		"names of events that do not survive": breaks(samples(account()).Codec(wrong{stored: func(_ Event, s store.Event) store.Event {
			s.Type = "Deposited"
			return s
		}}), "names tell events apart", opens, deposits, takes),
		"a damaged snapshot that has nothing": breaks(samples(account()).Snapshot(func(State) ([]byte, error) { return []byte("{}"), nil }, decodeState),
			"a damaged snapshot is an error", opens),
		"names of one type":               props.Breach(t, words(), "names tell events apart", read{}, read{}, read{}),
		"another order":                   breaks(planted["the newest event first"].suite(), "stored events lead to the same state", opens, deposits, Deposit{Amount: 2}),
		"not together":                    breaks(planted["a decoder of the first event alone"].suite(), "stored events lead to the same state", takes, opens, deposits),
		"not at all":                      breaks(planted["a codec that drops events"].suite(), "stored events lead to the same state", opens, Close{}),
		"nil or empty":                    breaks(plant(nilOrEmpty)().Codec(wrong{}), "decisions on stored events are the same", takes, opens, Deposit{5, []string{}}, Close{}),
		"nil or empty, after a rejection": breaks(plant(func(d *Account) { nilOrEmpty(d); rejectingWithdrawals(d) })().Codec(wrong{}), "decisions on stored events are the same", opens, takes, Deposit{5, []string{}}, Close{}),
		"nil or empty, not now":           breaks(plant(nilOrEmpty)().Codec(wrong{}), "decisions on stored events are the same", takes, opens, Deposit{5, nil}, Close{}),
		"damaged, a panic":                breaks(planted["a decoder that trusts the first bytes"].suite(), "damaged data is an error", opens),
		"damaged, cut off":                breaks(planted["an error that is forgotten"].suite(), "damaged data is an error", opens, deposits, takes),
		"damaged":                         breaks(samples(account()).Codec(wrong{each: dataless}), "damaged data is an error", opens, deposits, takesAll, Close{}),
		"a part of the data":              breaks(planted["an owner that is a part of the data"].suite(), "decoded events own their memory", opens),
		"nothing of the data":             breaks(samples(account()).Codec(wrong{}), "decoded events own their memory", opens, deposits),
		"rounded":                         breaks(planted["numbers as JavaScript has them"].suite(), "large numbers survive encoding", opens, deposits, takes),
		"rounded, unsigned":               props.Breach(t, readings(readingCodec{rounded: "Total"}), "large numbers survive encoding", read{}, read{1}),
		"rounded or refused":              props.Breach(t, readings(readingCodec{refused: "Total", rounded: "Total, Delta"}), "large numbers survive encoding", read{}),
		"refused":                         props.Breach(t, readings(readingCodec{refused: "Total, Delta", rounded: "Total, Delta"}), "large numbers survive encoding", read{}),
	}
}

// brittleOpen cannot open an account with a balance.
func brittleOpen(d *Account) {
	d.Evolve = on(func(s State, e Opened) State {
		if s.Balance > 0 && s.Balance < 5 {
			panic("opened with a balance")
		}
		return evolve(s, e)
	})
}

func whileOpen(s State, _ Command) bool { return !s.Closed }

// silentEnd accepts everything at the end, and decides nothing.
func silentEnd(d *Account) {
	d.Decide = func(c Command, s State) ([]Event, error) {
		if s.Closed {
			return nil, nil
		}
		return decide(c, s)
	}
}

func atMost3(s State) error {
	if s.Balance > 3 {
		return fmt.Errorf("it is %d", s.Balance)
	}
	return nil
}

// cutting cuts the owner after four bytes.
func cutting(d *Account) {
	d.Decide = func(c Command, s State) ([]Event, error) {
		if o, ok := c.(Open); ok && len(o.Owner) > 4 {
			c = Open{o.Owner[:4]}
		}
		return decide(c, s)
	}
}

// untagged drops the tags of deposits.
func untagged(d *Account) {
	d.Decide = func(c Command, s State) ([]Event, error) {
		if dep, ok := c.(Deposit); ok {
			c = Deposit{Amount: dep.Amount}
		}
		return decide(c, s)
	}
}

func noDeposit(e Event) {
	if _, ok := e.(Deposited); ok {
		panic("no deposits")
	}
}

// late encodes the first nine events of a kind with other data than the tenth.
func late() wrong {
	n := 0
	return wrong{stored: func(_ Event, s store.Event) store.Event {
		if n++; n == 10 {
			s.Data = append(slices.Clone(s.Data), ' ')
		}
		return s
	}}
}

// nilOrEmpty closes an account only if its last deposit had no tags, which is not an
// empty list of tags.
func nilOrEmpty(d *Account) {
	d.Decide = func(c Command, s State) ([]Event, error) {
		if _, ok := c.(Close); ok && s.Open && s.Totals != nil {
			return nil, errBalance
		}
		if _, ok := c.(Close); ok && s.Open {
			return []Event{Closed{}}, nil
		}
		return decide(c, s)
	}
	d.Evolve = on(func(s State, e Deposited) State {
		s.Totals = nil
		if e.Tags != nil {
			s.Totals = map[string]int{}
		}
		return s
	})
}

// rejectingWithdrawals returns an event beside the rejection of a withdrawal.
func rejectingWithdrawals(d *Account) {
	next := d.Decide
	d.Decide = func(c Command, s State) ([]Event, error) {
		if _, ok := c.(Withdraw); ok {
			return []Event{Closed{}}, errFunds
		}
		return next(c, s)
	}
}

// TestSomeHistories checks that an expensive law is checked on one history of four.
func TestSomeHistories(t *testing.T) {
	t.Parallel()
	for n := range 9 {
		got := props.BreachAt(t, planted["an error that is forgotten"].suite(), "damaged data is an error", n, opens, deposits, takes, takes)
		if want := n%4 == 1; (got != "no breach") != want {
			t.Errorf("history %d: %s, want a breach: %t", n, got, want)
		}
	}
}

// TestKeptData checks that no law overwrites data that a codec keeps.
func TestKeptData(t *testing.T) {
	t.Parallel()
	kept := []byte(`{"Owner":"ann"}`)
	s := samples(account()).Codec(wrong{stored: func(_ Event, s store.Event) store.Event {
		s.Data = kept
		return s
	}})
	for _, law := range props.Laws(s) {
		if got := props.Breach(t, s, law, opens); got != "no breach" || string(kept) != `{"Owner":"ann"}` {
			t.Fatalf("%s: %s, and the data is %s", law, got, kept)
		}
	}
}

// TestVariety checks that the events that laws try are different, and few of each kind.
func TestVariety(t *testing.T) {
	t.Parallel()
	all := []Event{Closed{}, Withdrawn{1}, Withdrawn{1}, Withdrawn{2}, Opened{"ann"}, Closed{}, Withdrawn{3}, Opened{"bob"}, Withdrawn{1}}
	for n, want := range []string{"[]", "[Closed{} Withdrawn{Amount: 1} Opened{Owner: \"ann\"}]", "[Closed{} Withdrawn{Amount: 1} Withdrawn{Amount: 2} Opened{Owner: \"ann\"} Opened{Owner: \"bob\"}]"} {
		if got := props.Text(props.Variety(all, n)); got != want {
			t.Errorf("at most %d of each kind are %s, want %s", n, got, want)
		}
	}
}

// TestBreaches compares how histories break laws with a golden file: the step and the
// text. The histories that follow their laws are listed there too.
func TestBreaches(t *testing.T) {
	t.Parallel()
	all := breaches(t)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&text, "%s: %s\n", name, normal(all[name]))
	}
	golden(t, "breaches", text.String())
}
