package decider_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

// plain is an Aggregate with only the required methods, and full one with all methods.
type (
	plain struct{}
	full  struct{ plain }
	odd   struct{ plain }
)

func (plain) Decide(cmd string, state int) ([]rune, error) {
	if state > 9 {
		return nil, errFull
	}
	return []rune(cmd), nil
}
func (plain) Evolve(state int, event rune) int { return state + 1 }
func (full) Initial() int                      { return 7 }
func (full) Terminal(state int) bool           { return state > 9 }
func (odd) Initial() string                    { return "not a state" }
func (odd) Terminal() bool                     { return true }

func TestOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		decider  decider.Decider[string, int, rune]
		start    int
		terminal bool // at 10
	}{
		"plain":           {decider.Of(plain{}), 0, false},
		"full":            {decider.Of(full{}), 7, true},
		"pointer":         {decider.Of(&full{}), 7, true},
		"other functions": {decider.Of(odd{}), 0, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.decider.Start(); got != tt.start {
				t.Errorf("Start() = %d, want %d", got, tt.start)
			}
			if got := tt.decider.IsTerminal(10); got != tt.terminal {
				t.Errorf("IsTerminal(10) = %v, want %v", got, tt.terminal)
			}
			state, events, err := tt.decider.Step("ab", tt.start)
			if state != tt.start+2 || string(events) != "ab" || err != nil {
				t.Errorf(`Step("ab", %d) = %d, %q, %v`, tt.start, state, events, err)
			}
			if state, events, err := tt.decider.Step("ab", 10); state != 10 || events != nil || err != errFull { //nolint:errorlint // as it is
				t.Errorf(`Step("ab", 10) = %d, %q, %v, want 10, no events, %v`, state, events, err, errFull)
			}
		})
	}
}

type inPlace struct{ plain }

func (inPlace) EvolveInPlace(state *int, event rune) { *state += 100 }

// TestInPlace checks that Fold and Step use EvolveInPlace if there is one, that
// combinators keep it or fall back to Evolve, and that the state passed to Fold does not
// change.
func TestInPlace(t *testing.T) {
	t.Parallel()
	type ints = decider.Decider[string, int, rune]
	d := decider.Of(inPlace{})
	tests := map[string]struct {
		decider ints
		want    int // after two events
	}{
		"itself":         {d, 200},
		"map command":    {decider.MapCommand(d, id[string]), 200},
		"map error":      {decider.MapError(d, id[error]), 200},
		"map event":      {decider.MapEvent(d, func(r rune) (rune, bool) { return r, true }, id[rune]), 2},
		"focus":          {decider.Focus(d, id[int], func(_, part int) int { return part }), 2},
		"not called for": {decider.Of(plain{}), 2},
	}
	for name, tt := range tests {
		state := 0
		if got := tt.decider.Fold(state, 'a', 'b'); got != tt.want || state != 0 {
			t.Errorf("%s: Fold = %d, and its argument %d, want %d and 0", name, got, state, tt.want)
		}
		if got, _, err := tt.decider.Step("ab", 0); got != tt.want || err != nil {
			t.Errorf("%s: Step = %d, %v, want %d", name, got, err, tt.want)
		}
	}
}

// TestStepDropsEventsOfARejection checks that Step drops the events of a decider that
// breaks the rule and rejects with events.
func TestStepDropsEventsOfARejection(t *testing.T) {
	t.Parallel()
	d := decider.New(
		func(int, int) ([]int, error) { return []int{1}, errFull },
		func(state, event int) int { return state + event },
	)
	if state, events, err := d.Step(0, 5); state != 5 || events != nil || err != errFull { //nolint:errorlint // as it is
		t.Errorf("Step = %d, %v, %v, want 5, no events, %v", state, events, err, errFull)
	}
	mapped, err := decider.MapError(d, id[error]).Decide(0, 5)
	if mapped != nil || err != errFull { //nolint:errorlint // as it is
		t.Errorf("MapError.Decide = %v, %v", mapped, err)
	}
}

// TestFold checks that folding in parts, in a decider and in its view, equals folding
// event by event.
func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := table[int, int, int](t, "d")
		es := rapid.SliceOf(rapid.IntRange(0, events)).Draw(t, "events")
		cut := rapid.IntRange(0, len(es)).Draw(t, "cut")
		kept := slices.Clone(es)
		want := d.Start()
		for _, e := range es {
			want = d.Evolve(want, e)
		}
		v := d.View()
		for name, got := range map[string]int{
			"Fold":          d.Fold(d.Start(), es...),
			"Fold in parts": d.Fold(d.Fold(d.Start(), es[:cut]...), es[cut:]...),
			"View.Fold":     v.Fold(v.Fold(v.Start(), es[:cut]...), es[cut:]...),
		} {
			if got != want {
				t.Fatalf("%s(%v) = %d, want %d", name, es, got, want)
			}
		}
		if !slices.Equal(es, kept) {
			t.Fatalf("Fold changed its events: %v to %v", kept, es)
		}
	})
}

func TestFoldDoesNotAllocate(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts for the whole process
	evs := accountEvents(100)
	if n := testing.AllocsPerRun(10, func() { sink = account.Fold(sink, evs...) }); n != 0 {
		t.Errorf("Fold of %d events allocates %v times, want 0", len(evs), n)
	}
}

// TestUnhandledNamesTheCommand checks that only the bare sentinel gets a name, because an
// error that the decider wraps already says more.
func TestUnhandledNamesTheCommand(t *testing.T) {
	t.Parallel()
	type create struct{}
	wrapped := fmt.Errorf("order: %w", decider.ErrUnhandled)
	for name, tt := range map[string]struct {
		err  error
		cmd  any
		text string
	}{
		"a pointer":     {decider.ErrUnhandled, &create{}, "decider: unhandled command *decider_test.create"},
		"a value":       {decider.ErrUnhandled, create{}, "decider: unhandled command decider_test.create"},
		"nil":           {decider.ErrUnhandled, nil, "decider: unhandled command <nil>"},
		"a wrapped one": {wrapped, create{}, "order: decider: unhandled command"},
	} {
		err := decider.Unhandled(tt.err, tt.cmd)
		if !errors.Is(err, decider.ErrUnhandled) || err.Error() != tt.text {
			t.Errorf("%s: Unhandled = %v, want %s", name, err, tt.text)
		}
	}
	if err := decider.Unhandled(errFull, create{}); err != errFull { //nolint:errorlint // as it is
		t.Errorf("Unhandled of a rejection = %v, want it unchanged", err)
	}
	if err := decider.Unhandled(nil, create{}); err != nil {
		t.Errorf("Unhandled(nil) = %v", err)
	}
}

func TestBatchNamesTheUnhandledCommand(t *testing.T) {
	t.Parallel()
	d := decider.Batch(decider.New(
		func(c any, _ int) ([]int, error) {
			if n, ok := c.(int); ok {
				return []int{n}, nil
			}
			return nil, decider.ErrUnhandled
		},
		func(state, event int) int { return state + event },
	))
	_, err := d.Decide([]any{1, "two"}, 0)
	var unhandled *decider.UnhandledError
	if !errors.As(err, &unhandled) || unhandled.Command != "string" {
		t.Errorf("Decide = %v, want an *UnhandledError that names string", err)
	}
}
