package props_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// Errors of a library, each with a value.
type (
	reservedError    struct{ Copy string }
	unknownCopyError struct{ Copy string }
	lostError        struct{ Copy string } // which nothing returns
)

func (e *reservedError) Error() string   { return fmt.Sprintf("copy %q is reserved", e.Copy) }
func (e unknownCopyError) Error() string { return fmt.Sprintf("copy %q is unknown", e.Copy) }
func (e lostError) Error() string        { return fmt.Sprintf("copy %q is lost", e.Copy) }

// closedError has no value.
type closedError struct{}

func (*closedError) Error() string { return "the library is closed on day 7" }

// lentError tells nothing about its value.
type lentError struct{ copy string }

func (lentError) Error() string { return "the copy is lent" }

// lend is the command to lend a copy. Copies that begin with r are reserved.
type lend struct{ Copy string }

type lent struct{ Copy string }

func lending() decider.Decider[lend, int, lent] {
	return decider.New(func(c lend, _ int) ([]lent, error) {
		switch {
		case strings.HasPrefix(c.Copy, "r"):
			return nil, fmt.Errorf("lending: %w", &reservedError{c.Copy})
		case c.Copy != "c1":
			return nil, unknownCopyError(c)
		}
		return []lent{{c.Copy}}, nil
	}, func(s int, _ lent) int { return s + 1 })
}

// TestThenTypedError checks that an error is the expected one if its type and value are,
// also in a wrapped error, and what the report says otherwise.
func TestThenTypedError(t *testing.T) {
	t.Parallel()
	d := lending()
	props.Spec(t, d).When(lend{"r1"}).ThenError(&reservedError{"r1"})
	props.Spec(t, d).When(lend{"x"}).ThenError(unknownCopyError{"x"})

	d.Decide = func(c lend, _ int) ([]lent, error) {
		switch c.Copy {
		case "plain":
			return nil, errors.New("no")
		case "lent":
			return nil, lentError{"c1"}
		case "joined":
			return nil, errors.Join(errors.New("no"), fmt.Errorf("lending: %w", &reservedError{"r1"}), unknownCopyError{"x"})
		}
		return nil, &reservedError{c.Copy}
	}
	props.Spec(t, d).When(lend{"joined"}).ThenError(&reservedError{"r1"})
	props.Spec(t, d).When(lend{"joined"}).ThenError(unknownCopyError{"x"})
	type spec = props.Scenario[lend, int, lent]
	for name, tt := range map[string]struct {
		check func(s spec)
		says  string
	}{
		"another value":             {func(s spec) { s.When(lend{"r1"}).ThenError(&reservedError{"r2"}) }, `+ rejected: copy "r1" is reserved`},
		"without a value":           {func(s spec) { s.When(lend{"r1"}).ThenError(&reservedError{}) }, `- rejected: copy "" is reserved`},
		"another type":              {func(s spec) { s.When(lend{"r1"}).ThenError(errors.New(`copy "r1" is reserved`)) }, "the same text, but not the same error by errors.Is: want a *errors.errorString, got a *props_test.reservedError"},
		"a value of a joined error": {func(s spec) { s.When(lend{"joined"}).ThenError(&reservedError{"r2"}) }, `- rejected: copy "r2" is reserved`},
		"a value that is not told":  {func(s spec) { s.When(lend{"lent"}).ThenError(lentError{"c2"}) }, `the same text, but not the same error by errors.Is: want a props_test.lentError, got a props_test.lentError with another value: copy "c2" → "c1"`},
		"two of errors.New":         {func(s spec) { s.When(lend{"plain"}).ThenError(errors.New("no")) }, "made by two calls: compare with the variable that Decide returns"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			tt.check(props.Spec(r, d))
			if got := r.end(); !strings.Contains(got, tt.says) {
				t.Errorf("the report is %s\nwant one that says %q", got, tt.says)
			}
		})
	}
}

// TestRejectionsOfAType checks that a struct without a value allows every error of its
// type, that one with a value allows only that value and the report says so, and that the
// statistics count typed errors by type.
func TestRejectionsOfAType(t *testing.T) {
	t.Parallel()
	suite := func(errs ...error) props.Suite[lend, int, lent] {
		return props.For(lending()).Any(lend{"c1"}, lend{"r1"}, lend{"r2"}, lend{"x"}).Rejections(errs...).Checks(200)
	}
	failures, coverage, problem := props.Failures(t, suite(&reservedError{}, unknownCopyError{}))
	if len(failures) > 0 || problem != "" {
		t.Errorf("all errors are listed by type: %v, %s", failures, problem)
	}
	for _, want := range []string{"✗ unknownCopyError ", "lent "} {
		if !strings.Contains(coverage, want) {
			t.Errorf("the statistics have no %q:\n%s", want, coverage)
		}
	}
	if strings.Contains(coverage, `"x"`) || strings.Contains(coverage, "ever rejected") {
		t.Errorf("the statistics are:\n%s", coverage)
	}
	if failures, _, _ = props.Failures(t, suite(&reservedError{}).Rejections(unknownCopyError{})); len(failures) > 0 {
		t.Errorf("all errors are listed by two calls: %v", failures)
	}
	_, coverage, _ = props.Failures(t, suite(&reservedError{}, unknownCopyError{}, lostError{}, lostError{"c1"}))
	for _, want := range []string{"no command was ever rejected with a props_test.lostError", `no command was ever rejected with "copy \"c1\" is lost"`} {
		if strings.Count(coverage, want) != 1 || strings.Count(coverage, "ever rejected") != 2 {
			t.Errorf("the statistics do not say once that %s:\n%s", want, coverage)
		}
	}

	failures, _, _ = props.Failures(t, suite(&reservedError{"r1"}, unknownCopyError{}))
	if want := "Rejections lists with another value:"; len(failures) != 1 || !strings.Contains(failures[0].Text, want) {
		t.Errorf("an error with another value: %+v, want one that says %q", failures, want)
	}
	failures, _, _ = props.Failures(t, suite(unknownCopyError{}))
	if want := "Rejections does not list:"; len(failures) != 1 || !strings.Contains(failures[0].Text, want) {
		t.Errorf("an error that is not listed: %+v, want one that says %q", failures, want)
	}
}

// TestReasons checks how statistics count errors: by type if they have a value, and
// otherwise by text without numbers.
func TestReasons(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"reservedError":                  &reservedError{"c1"},
		"unknownCopyError":               unknownCopyError{"c1"},
		"the library is closed on day #": &closedError{},
		"copy # is not here":             errors.New("copy 12 is not here"),
		"lending: copy \"c#\" is lost":   fmt.Errorf("lending: %w", lostError{"c1"}),
	} {
		d := lending()
		d.Decide = func(lend, int) ([]lent, error) { return nil, err }
		s := props.For(d).Any(lend{}).Checks(1).Without("every command leads to events sometimes")
		if _, coverage, _ := props.Failures(t, s); !strings.Contains(coverage, "✗ "+want+" 100%") {
			t.Errorf("want %q in\n%s", want, coverage)
		}
	}
}

// TestRejectionsNil checks that an error that is nil, such as a variable that was never
// set, is refused at once.
func TestRejectionsNil(t *testing.T) {
	t.Parallel()
	defer func() {
		if got := fmt.Sprint(recover()); got != "props: Rejections(nil)" {
			t.Errorf("Rejections panicked with %q", got)
		}
	}()
	props.For(lending()).Rejections(&reservedError{}, nil)
}
