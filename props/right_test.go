package props_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/props"
	"github.com/evolvego/evolve/store"
)

// seeds is how often each correct or mistaken decider is checked, each time with another
// seed.
var seeds = flag.Int("seeds", 0, "how often to check each correct or mistaken decider; by default once for each number of histories")

// rounds returns the numbers of histories for the rounds of a test that takes those of
// sizes in turn. Without -seeds there is a round for each, or one with -short.
func rounds(sizes ...int) []int {
	if *seeds == 0 && testing.Short() {
		return []int{sizes[rand.N(len(sizes))]}
	}
	return lo.Times(cmp.Or(*seeds, len(sizes)), func(i int) int { return sizes[i%len(sizes)] })
}

// right holds deciders without a fault. Each does something that props could mistake for
// one.
var right = map[string]checker{
	"an account":                         checked(suite()),
	"a parcel with many stages":          checked(parcelSuite()),
	"a PIN, a total and an id to repeat": checked(tillSuite()),
	"a reward for the fiftieth visit":    checked(visits()),
	"amounts that are floats":            checked(floats(acceptable)),
	"amounts that are big":               checked(bigs(positive)),
	"bookings and addresses":             checked(bookings(time.Time.Equal)),
	"names in any case":                  checked(names(fold)),
	"a text of the state, then no data":  checked(plant(farewell)().Codec(wrong{each: dataless})),
	"one type of events, with names":     checked(words()),
	"a start that is left at once":       checked(eager().Possible("an account can be opened", isNew, func(State) []Command { return []Command{Open{}} }, isOpen)),
	"numbers that are refused":           checked(readings(readingCodec{refused: "Total, Delta", rounded: "Total, Delta"})),
}

// dataless decodes a Closed whatever its data is.
func dataless(r store.Recorded) (Event, error) {
	if r.Type == "Closed" {
		return Closed{}, nil
	}
	return nil, errRight
}

// farewell lets d repeat the owner when it is closed, also one that is not UTF-8.
func farewell(d *Account) {
	d.Decide = func(c Command, s State) ([]Event, error) {
		events, err := decide(c, s)
		if _, ok := c.(Close); ok && err == nil {
			events = append([]Event{Deposited{Tags: []string{s.Owner}}}, events...)
		}
		return events, err
	}
}

// checker checks a suite on this many histories, or on the usual number if it is 0.
type checker func(t *testing.T, histories int) []props.Failure

func checked[C, S, E any](s props.Suite[C, S, E]) checker {
	return func(t *testing.T, n int) []props.Failure {
		t.Helper()
		s := s
		if n > 0 {
			s = s.Checks(n)
		}
		failures, coverage, problem := props.Failures(t, s)
		if problem != "" {
			t.Fatal(problem)
		}
		if len(failures) > 0 {
			t.Log(coverage)
		}
		return failures
	}
}

// found is [checked] without shrinking, which takes long if calls must overlap by chance.
func found[C, S, E any](s props.Suite[C, S, E]) checker {
	return func(t *testing.T, n int) []props.Failure {
		t.Helper()
		failures, problem := props.Found(t, s.Checks(n))
		if problem != "" {
			t.Fatal(problem)
		}
		return failures
	}
}

// TestRight checks that deciders without a fault pass, with any seed and any number of
// histories. With -seeds=1000 it tries a thousand seeds.
func TestRight(t *testing.T) {
	t.Parallel()
	for name, check := range right {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, histories := range rounds(1, 20, 200, 0) {
				for _, f := range check(t, histories) {
					t.Errorf("%d histories: %s", histories, f.Text)
				}
			}
		})
	}
}

// A parcel needs a dozen commands, one after the other.
type (
	parcel struct {
		Stage   int
		Items   []string
		Retries int
		Over    bool
	}
	parcelCmd interface {
		next(parcel) ([]parcelEvent, error)
	}
	// step is a stage that was reached.
	parcelEvent struct {
		Stage   int
		Item    string
		Retries int
		Over    bool
	}
	create  struct{ Item string }
	add     struct{ Item string }
	remove  struct{ Item string }
	confirm struct{}
	payFor  struct{ Amount int }
	pack    struct{}
	label   struct{ Address string }
	hand    struct{}
	load    struct{}
	deliver struct{ Present bool }
	giveUp  struct{}
	refund  struct{ Amount int }
	cancel  struct{}
)

var errStage = errors.New("parcel: not now")

func at(p parcel, stage int, then ...parcelEvent) ([]parcelEvent, error) {
	if p.Stage != stage || p.Over {
		return nil, errStage
	}
	return then, nil
}

func (c create) next(p parcel) ([]parcelEvent, error) {
	return at(p, 0, parcelEvent{Stage: 1, Item: c.Item})
}

func (c add) next(p parcel) ([]parcelEvent, error) {
	return at(p, 1, parcelEvent{Stage: 1, Item: c.Item})
}

func (c remove) next(p parcel) ([]parcelEvent, error) {
	if !slices.Contains(p.Items, c.Item) {
		return nil, errStage
	}
	return at(p, 1, parcelEvent{Stage: 1})
}

func (confirm) next(p parcel) ([]parcelEvent, error) {
	if len(p.Items) < 3 {
		return nil, errStage
	}
	return at(p, 1, parcelEvent{Stage: 2})
}

func (c payFor) next(p parcel) ([]parcelEvent, error) {
	if c.Amount != 7*len(p.Items) {
		return nil, errStage
	}
	return at(p, 2, parcelEvent{Stage: 3})
}
func (pack) next(p parcel) ([]parcelEvent, error) { return at(p, 3, parcelEvent{Stage: 4}) }
func (c label) next(p parcel) ([]parcelEvent, error) {
	if c.Address == "" {
		return nil, errStage
	}
	return at(p, 4, parcelEvent{Stage: 5})
}
func (hand) next(p parcel) ([]parcelEvent, error) { return at(p, 5, parcelEvent{Stage: 6}) }
func (load) next(p parcel) ([]parcelEvent, error) { return at(p, 6, parcelEvent{Stage: 7}) }
func (c deliver) next(p parcel) ([]parcelEvent, error) {
	if c.Present {
		return at(p, 7, parcelEvent{Stage: 8, Over: true})
	}
	return at(p, 7, parcelEvent{Stage: 7, Retries: p.Retries + 1})
}

func (giveUp) next(p parcel) ([]parcelEvent, error) {
	if p.Retries < 3 {
		return nil, errStage
	}
	return at(p, 7, parcelEvent{Stage: 9})
}

func (refund) next(p parcel) ([]parcelEvent, error) {
	return at(p, 9, parcelEvent{Stage: 10, Over: true})
}

func (cancel) next(p parcel) ([]parcelEvent, error) {
	if p.Stage > 4 || p.Over {
		return nil, errStage
	}
	return []parcelEvent{{Stage: p.Stage, Over: true}}, nil
}

func parcelSuite() props.Suite[parcelCmd, parcel, parcelEvent] { return parcelSuiteOf(parcelDecider()) }

func parcelSuiteOf(d decider.Decider[parcelCmd, parcel, parcelEvent]) props.Suite[parcelCmd, parcel, parcelEvent] {
	return props.For(d).Any(create{}, add{}, remove{}, confirm{}, payFor{}, pack{}, label{}, hand{}, load{}, deliver{}, giveUp{}, refund{}, cancel{}).
		Reaches("it is delivered at the third try", func(s props.Step[parcelCmd, parcel, parcelEvent]) bool {
			return s.After.Stage == 8 && s.Before.Retries == 2
		})
}

// A till is opened with the PIN that it was given, and takes exact totals.
type (
	till struct {
		pin    string
		open   bool
		lines  []tillLine
		ticket string
	}
	tillLine struct{ Price, Count int }
	setPIN   struct{ PIN string }
	unlock   struct{ PIN string }
	scan     struct{ Price, Count int }
	settle   struct{ Total int }
	collect  struct{ Ticket string }
	pinSet   struct{ PIN string }
	unlocked struct{}
	scanned  struct{ Price, Count int }
	settled  struct{ Ticket string }
	fetched  struct{}
)

var errTill = errors.New("till: no")

func tillDecide(cmd any, s till) ([]any, error) {
	switch c := cmd.(type) {
	case setPIN:
		if s.pin == "" && len(c.PIN) > 0 && len(c.PIN) < 100 {
			return []any{pinSet(c)}, nil
		}
	case unlock:
		if s.pin != "" && c.PIN == s.pin && !s.open {
			return []any{unlocked{}}, nil
		}
	case scan:
		if s.open && 0 < c.Price && c.Price < 1000 && 0 < c.Count && c.Count < 100 {
			return []any{scanned(c)}, nil
		}
	case settle:
		total := 0
		for _, l := range s.lines {
			total += l.Price * l.Count
		}
		if len(s.lines) > 1 && c.Total == total {
			return []any{settled{fmt.Sprintf("ticket-%d-%d", len(s.lines), total)}}, nil
		}
	case collect:
		if s.ticket != "" && c.Ticket == s.ticket {
			return []any{fetched{}}, nil
		}
	}
	return nil, errTill
}

func tillSuite() props.Suite[any, till, any] { return tillSuiteOf(tillDecide) }

func tillSuiteOf(decide func(any, till) ([]any, error)) props.Suite[any, till, any] {
	return props.For(decider.New(decide, func(s till, e any) till {
		switch e := e.(type) {
		case pinSet:
			s.pin = e.PIN
		case unlocked:
			s.open = true
		case scanned:
			s.lines = append(slices.Clip(s.lines), tillLine(e))
		case settled:
			s.lines, s.ticket = nil, e.Ticket
		case fetched:
			s.ticket = ""
		}
		return s
	})).Any(setPIN{}, unlock{}, scan{}, settle{}, collect{}).Codec(codec.JSON(map[string]any{
		"pinSet": pinSet{}, "unlocked": unlocked{}, "scanned": scanned{}, "settled": settled{}, "fetched": fetched{},
	}))
}

// visits rewards the fiftieth visit.
func visits() props.Suite[any, int, string] {
	return props.For(decider.New(func(cmd any, n int) ([]string, error) {
		switch _, visit := cmd.(struct{ Visit bool }); {
		case visit:
			return []string{"visited"}, nil
		case n < 50:
			return nil, errors.New("not yet")
		}
		return []string{"rewarded"}, nil
	}, func(n int, e string) int {
		if e == "rewarded" {
			return 0
		}
		return n + 1
	})).Any(struct{ Visit bool }{}, struct{ Reward bool }{})
}

// Amounts that are floats: ok says which are accepted.
type (
	charge   struct{ Amount float64 }
	pour     struct{ Amount float64 }
	charged  struct{ Amount float64 }
	poured   struct{ Amount float64 }
	floating struct {
		Balance float64
		Count   int
	}
)

func acceptable(x float64) bool { return x > 0 && !math.IsInf(x, 0) && x < 1e12 }

func floats(ok func(float64) bool) props.Suite[any, floating, any] {
	return props.For(decider.New(func(cmd any, s floating) ([]any, error) {
		switch c := cmd.(type) {
		case charge:
			if ok(c.Amount) {
				return []any{charged(c)}, nil
			}
		case pour:
			if ok(c.Amount) && c.Amount <= s.Balance {
				return []any{poured(c)}, nil
			}
		}
		return nil, errAmount
	}, func(s floating, e any) floating {
		switch e := e.(type) {
		case charged:
			return floating{s.Balance + e.Amount, s.Count + 1}
		case poured:
			return floating{s.Balance - e.Amount, s.Count + 1}
		}
		return s
	})).Any(charge{}, pour{}).Codec(codec.JSON(map[string]any{"charged": charged{}, "poured": poured{}})).
		Snapshot(func(s floating) ([]byte, error) { return json.Marshal(s) }, func(data []byte) (s floating, err error) {
			return s, json.Unmarshal(data, &s)
		}).
		Invariant("the balance is not negative", func(s floating) error {
			if s.Balance < 0 {
				return fmt.Errorf("%v", s.Balance)
			}
			return nil
		})
}

// Amounts that are big numbers: types without exported fields.
type (
	credit   struct{ Amount *big.Int }
	debit    struct{ Amount *big.Int }
	credited struct{ Amount *big.Int }
	debited  struct{ Amount *big.Int }
)

func positive(x *big.Int) bool { return x != nil && x.Sign() > 0 }

func bigs(ok func(*big.Int) bool) props.Suite[any, *big.Int, any] {
	d := decider.New(func(cmd any, s *big.Int) ([]any, error) {
		switch c := cmd.(type) {
		case credit:
			if ok(c.Amount) {
				return []any{credited(c)}, nil
			}
		case debit:
			if ok(c.Amount) && c.Amount.Cmp(s) <= 0 {
				return []any{debited(c)}, nil
			}
		}
		return nil, errAmount
	}, func(s *big.Int, e any) *big.Int {
		switch e := e.(type) {
		case credited:
			return new(big.Int).Add(s, e.Amount)
		case debited:
			return new(big.Int).Sub(s, e.Amount)
		}
		return s
	})
	d.Initial = func() *big.Int { return new(big.Int) }
	return props.For(d).Any(credit{}, debit{}).Codec(codec.JSON(map[string]any{"credited": credited{}, "debited": debited{}})).
		Invariant("the balance is not negative", func(s *big.Int) error {
			if s.Sign() < 0 {
				return fmt.Errorf("%v", s)
			}
			return nil
		})
}

// Bookings of a time from an address: equal says when two times are the same.
type (
	payment interface{ pays() }
	card    struct{ Number string }
	cash    struct{}
	book    struct {
		At   time.Time
		From netip.Addr
		By   payment
	}
	free   struct{ At time.Time }
	booked struct {
		At   time.Time
		From netip.Addr
	}
	freed struct{ At time.Time }
)

func (card) pays() {}
func (cash) pays() {}

func bookings(equal func(a, b time.Time) bool) props.Suite[any, []time.Time, any] {
	has := func(s []time.Time, at time.Time) bool {
		return slices.ContainsFunc(s, func(t time.Time) bool { return equal(t, at) })
	}
	return props.For(decider.New(func(cmd any, s []time.Time) ([]any, error) {
		switch c := cmd.(type) {
		case book:
			if _, ok := c.By.(card); ok && !has(s, c.At) && c.From.IsValid() && !c.From.IsPrivate() {
				return []any{booked{c.At, c.From}}, nil
			}
		case free:
			if has(s, c.At) {
				return []any{freed(c)}, nil
			}
		}
		return nil, errOpen
	}, func(s []time.Time, e any) []time.Time {
		switch e := e.(type) {
		case booked:
			return append(slices.Clip(s), e.At)
		case freed:
			return slices.DeleteFunc(slices.Clone(s), e.At.Equal)
		}
		return s
	})).Any(book{}, free{}).Values(card{"1234"}, cash{}).
		Codec(codec.JSON(map[string]any{"booked": booked{}, "freed": freed{}})).
		Reaches("it is paid in cash", func(s props.Step[any, []time.Time, any]) bool {
			b, ok := s.Command.(book)
			return ok && b.By == cash{}
		})
}

// Names are taken once, regardless of case: key returns what they are compared by.
type (
	claim   struct{ Name string }
	owned   struct{ Name string }
	leave   struct{ Name string }
	nowFree struct{ Name string }
)

func fold(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func names(key func(string) string) props.Suite[any, map[string]bool, any] {
	return props.For(decider.New(func(cmd any, s map[string]bool) ([]any, error) {
		switch c := cmd.(type) {
		case claim:
			if c.Name != "" && !s[key(c.Name)] {
				return []any{owned(c)}, nil
			}
		case leave:
			if s[key(c.Name)] {
				return []any{nowFree(c)}, nil
			}
		}
		return nil, errOpen
	}, func(s map[string]bool, e any) map[string]bool {
		s = maps.Clone(s)
		if s == nil {
			s = map[string]bool{}
		}
		switch e := e.(type) {
		case owned:
			s[key(e.Name)] = true
		case nowFree:
			delete(s, key(e.Name))
		}
		return s
	})).Any(claim{}, leave{}).Invariant("names are taken once, regardless of case", func(s map[string]bool) error {
		seen := map[string]bool{}
		for name := range s {
			if seen[fold(name)] {
				return fmt.Errorf("%q is taken twice", name)
			}
			seen[fold(name)] = true
		}
		return nil
	})
}
