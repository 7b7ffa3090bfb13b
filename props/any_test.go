package props_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

type (
	Currency string
	Inner    struct {
		Name string
		Deep *Inner
	}
	Base     struct{ ID string }
	everyone struct{ Team string }
	// Everything has a field of each kind that Any fills or leaves alone.
	Everything struct {
		Base
		everyone

		Text     string
		Currency Currency
		Kept     Currency
		Yes      bool
		Int      int
		Int8     int8
		Int64    int64
		Uint     uint
		Uint8    uint8
		Float    float64
		Float32  float32
		At       time.Time
		For      time.Duration
		List     []string
		Bytes    []byte
		Array    [2]int
		Map      map[string]int
		Pointer  *int
		Nested   Inner
		Nests    []Inner
		Any      any
		Func     func()
		hidden   int
	}
)

// seen collects the different texts of each field in the commands of many histories.
func seen(t *testing.T, samples ...any) map[string]map[string]bool {
	t.Helper()
	d := decider.New(func(c any, _ int) ([]int, error) { return []int{1}, nil }, func(s, _ int) int { return s })
	out := map[string]map[string]bool{}
	for seed := range uint64(100) {
		for _, s := range props.For(d).Any(samples...).Example(seed).Steps {
			v := reflect.ValueOf(s.Command)
			if v.Kind() == reflect.Pointer {
				v = v.Elem()
			}
			for i := range v.NumField() {
				name := v.Type().Field(i).Name
				if out[name] == nil {
					out[name] = map[string]bool{}
				}
				out[name][fmt.Sprintf("%+v", v.Field(i))] = true
			}
		}
	}
	return out
}

// TestAny checks that every kind of field that can be filled gets many values, and that
// the others stay as they are.
func TestAny(t *testing.T) {
	t.Parallel()
	for name, sample := range map[string]any{
		"value":   Everything{Kept: "EUR", hidden: 7},
		"pointer": &Everything{Kept: "EUR", hidden: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := seen(t, sample)
			for field, texts := range values {
				switch field {
				case "Kept", "hidden", "Any", "Func":
					if len(texts) != 1 {
						t.Errorf("%s was changed: %v", field, texts)
					}
				case "Yes":
					if len(texts) != 2 {
						t.Errorf("%s has %d values", field, len(texts))
					}
				default:
					if len(texts) < 5 {
						t.Errorf("%s has only %d values: %v", field, len(texts), texts)
					}
				}
			}
			for field, want := range map[string]string{
				"Int64": "9223372036854775807", "Int": "-9223372036854775808", "Int8": "-128", "Uint8": "255", "Kept": "EUR", "hidden": "7",
				"At": "0001-01-01 00:00:00 +0000 UTC", "Pointer": "<nil>", "List": "[]", "everyone": "{Team:ann}", "Base": "{ID:日本}",
			} {
				if !values[field][want] {
					t.Errorf("%s was never %s", field, want)
				}
			}
		})
	}
}

// TestAnyCopies checks that values a sample points to are neither changed nor shared.
func TestAnyCopies(t *testing.T) {
	t.Parallel()
	sample := &Everything{List: []string{"kept"}, Nested: Inner{Deep: &Inner{Name: "kept"}}}
	d := decider.New(func(c *Everything, _ int) ([]int, error) {
		c.List[0] = "changed"
		c.Nested.Deep.Name = "changed"
		return []int{1}, nil
	}, func(s, _ int) int { return s })
	props.For(d).Any(sample).Example(1)
	if got, want := props.Text(sample), `&Everything{List: ["kept"], Nested: Inner{Deep: &Inner{Name: "kept"}}}`; got != want {
		t.Errorf("the sample is now %s, want %s", got, want)
	}
}

// TestAnyPanics checks that a sample which cannot be filled is refused at once.
func TestAnyPanics(t *testing.T) {
	t.Parallel()
	for want, sample := range map[string]any{
		"props: Any(nil): a sample must be a struct or a pointer to one, not nil":                               nil,
		"props: Any(Currency(\"EUR\")): a sample must be a struct or a pointer to one, not props_test.Currency": Currency("EUR"),
		"props: Any(nil) : a sample must be a struct or a pointer to one, not nil":                              (*Everything)(nil),
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != strings.Replace(want, " :", ":", 1) {
					t.Errorf("Any panicked with %q, want %q", got, want)
				}
			}()
			props.For(decider.Decider[any, int, int]{}).Any(sample)
		}()
	}
}

// TestExample checks that the same seed gives the same history, and that another seed
// gives another one.
func TestExample(t *testing.T) {
	t.Parallel()
	a, b, c := suite().Example(1), suite().Example(1), suite().Example(2)
	if a.String() != b.String() || a.String() == c.String() {
		t.Errorf("seed 1:\n%v\nagain:\n%v\nseed 2:\n%v", a, b, c)
	}
	never := props.For(account()).Commands(func(t *rapid.T, _ State) Command {
		return rapid.Just[Command](Close{}).Filter(func(Command) bool { return false }).Draw(t, "command")
	})
	defer func() {
		if got := fmt.Sprint(recover()); !strings.Contains(got, "Commands cannot draw on the state State{}") {
			t.Errorf("the example of commands that cannot be drawn: %v", got)
		}
	}()
	never.Example(1)
}
