package props_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/props"
)

// A tower grows, unless something knocks it over.
type (
	tower     struct{ Height int }
	grown     struct{}
	knocked   struct{}
	watched   struct{}
	towers    = decider.Decider[any, tower, any]
	grow      struct{}
	wind      struct{}
	rain      struct{}
	lightning struct{}
)

func growing() towers {
	return decider.New(
		func(cmd any, s tower) ([]any, error) {
			if _, ok := cmd.(grow); ok {
				return []any{grown{}, watched{}}, nil
			}
			return []any{knocked{}}, nil
		},
		func(s tower, event any) tower {
			switch event.(type) {
			case grown:
				return tower{s.Height + 1}
			case knocked:
				return tower{}
			}
			return s
		},
	)
}

func towerSuite() props.Suite[any, tower, any] {
	return props.For(growing()).Any(grow{}, wind{}, rain{}, lightning{}).
		Invariant("the tower is low", func(s tower) error {
			if s.Height < 15 {
				return nil
			}
			return errors.New("it is high")
		})
}

// TestSwarm checks that a bug is found that takes many commands of one kind and none of
// the others. With all kinds equally likely, it would come once in a billion histories.
func TestSwarm(t *testing.T) {
	t.Parallel()
	for seed := range uint64(10) {
		if n, _, _ := props.FoundAfter(t, towerSuite(), "the tower is low", seed, 1000); n == 0 {
			t.Errorf("seed %d: there is no tower of 15 in 1000 histories", seed)
		}
	}
}

// TestIdleEvents checks that an event which never changes the state is reported, and no
// other.
func TestIdleEvents(t *testing.T) {
	t.Parallel()
	_, coverage, _ := props.Failures(t, towerSuite().Checks(100))
	if n := strings.Count(coverage, "never changed the state"); n != 1 || !strings.Contains(coverage, "watched never changed the state, ") {
		t.Errorf("want only watched reported:\n%s", coverage)
	}
}

const checksEnv = "EVOLVE_PROPS_CHECKS"

// TestChecksFlag checks, in processes of their own, how many histories there are: ten for
// each rapid check, a fifth with -short, or the number that Checks sets.
func TestChecksFlag(t *testing.T) {
	t.Parallel()
	if os.Getenv(checksEnv) != "" {
		s := props.For(growing()).Any(grow{}, wind{}).Without("sharing is safe")
		if os.Getenv(checksEnv) == "said" {
			s = s.Checks(17)
		}
		s.Check(t)
		return
	}
	for _, tt := range []struct{ env, flags, want string }{
		{"usual", "-rapid.checks=100", "1000 histories"},
		{"usual", "-rapid.checks=7", "70 histories"},
		{"usual", "-rapid.checks=100 -test.short", "200 histories"},
		{"said", "-rapid.checks=100", "17 histories"},
	} {
		args := append([]string{"-test.v", "-test.run=^TestChecksFlag$"}, strings.Fields(tt.flags)...)
		run := exec.CommandContext(t.Context(), os.Args[0], args...)
		run.Env = append(os.Environ(), checksEnv+"="+tt.env)
		out, err := run.CombinedOutput()
		if err != nil || !strings.Contains(string(out), " "+tt.want) {
			t.Errorf("%s, %s: %v, want %s in\n%s", tt.env, tt.flags, err, tt.want, out)
		}
	}
}

// TestSetting checks that a flag of another name or type counts as zero.
func TestSetting(t *testing.T) {
	t.Parallel()
	if n, other, none, run := props.Setting[int]("rapid.checks"), props.Setting[string]("rapid.checks"), props.Setting[int]("rapid.none"),
		props.Setting[string](ungettable); n == 0 || other != "" || none != 0 || run != "" {
		t.Errorf("the settings are %d, %q, %d, %q", n, other, none, run)
	}
}

// opaque has nothing that could fill it.
type opaque struct{ n int }

// TestNeverFilled checks that a field which nothing can fill is named, and no other.
func TestNeverFilled(t *testing.T) {
	t.Parallel()
	type pay struct {
		Amount int
		Seal   opaque
		note   string // belongs to its package, not to those who draw commands
	}
	d := decider.New(func(cmd any, _ int) ([]any, error) {
		if p, ok := cmd.(pay); ok && p.Seal.n+len(p.note) != 0 {
			return nil, nil
		}
		return []any{cmd}, nil
	}, func(s int, _ any) int { return s + 1 })
	_, coverage, err := props.Failures(t, props.For(d).Any(pay{}).Checks(50))
	if err != "" || !strings.Contains(coverage, "never filled: pay.Seal") || strings.Contains(coverage, "pay.Amount") || strings.Contains(coverage, "pay.note") {
		t.Errorf("%s: want only pay.Seal named in\n%s", err, coverage)
	}
	type gift struct{ Amount, Tip int }
	drawn := props.For(d).Commands(func(t *rapid.T, _ int) any {
		return gift{Amount: rapid.IntRange(0, 9).Draw(t, "amount")} // forgets the tip
	})
	_, coverage, err = props.Failures(t, drawn.Checks(50))
	if err != "" || !strings.Contains(coverage, "never filled: gift.Tip") || strings.Contains(coverage, "gift.Amount") {
		t.Errorf("%s: want only gift.Tip named in\n%s", err, coverage)
	}
}

// TestNeverFilledIsNamed checks that the report of a command which never leads to an event
// names the fields of this command that nothing fills, and no others.
func TestNeverFilledIsNamed(t *testing.T) {
	t.Parallel()
	type (
		pay  struct{ Seal opaque }
		gift struct{ Seal opaque }
	)
	d := decider.New(func(cmd any, _ int) ([]any, error) {
		if _, ok := cmd.(pay); ok {
			return nil, errors.New("no seal")
		}
		return []any{cmd}, nil
	}, func(s int, _ any) int { return s + 1 })
	failures, _, err := props.Failures(t, props.Hasty(props.For(d).Any(pay{}, gift{}).Checks(50)))
	if err != "" || len(failures) != 1 || !regexp.MustCompile(`(?m)^\tpay\.Seal .*is never filled: use Values$`).MatchString(failures[0].Text) || strings.Contains(failures[0].Text, "gift.") {
		t.Errorf("%s: want one failure that names pay.Seal alone: %v", err, failures)
	}
}

// letters returns a letter for each step of h, a capital if events were decided, and a
// number for the whole text of h.
func letters[C, S, E any](h props.History[C, S, E]) string {
	var b strings.Builder
	for _, s := range h.Steps {
		letter := strings.TrimPrefix(fmt.Sprintf("%T", s.Command), "props_test.")[:1]
		if s.Err == nil && len(s.Events) > 0 {
			b.WriteString(strings.ToUpper(letter))
		} else {
			b.WriteString(strings.ToLower(letter))
		}
	}
	sum := fnv.New32()
	_, _ = sum.Write([]byte(h.String()))
	return fmt.Sprintf("%s %08x", &b, sum.Sum32())
}

// TestSeeds checks that a seed gives the same history on every machine, as Example and
// the seed in a report promise.
func TestSeeds(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	valid := samples(account()).Valid(func(s State, c Command) bool {
		d, deposit := c.(Deposit)
		return !deposit || s.Open && d.Amount > 0
	})
	panics := planted["a division by zero in decide"].suite()
	walls := samples(account()).Valid(func(s State, _ Command) bool { return len(s.Movements) < 3 })
	for seed := range uint64(32) {
		fmt.Fprintf(&all, "%2d account  %s\n", seed, letters(samples(account()).Example(seed)))
		fmt.Fprintf(&all, "   valid    %s\n", letters(valid.Example(seed)))
		fmt.Fprintf(&all, "   panics   %s\n", letters(panics.Example(seed)))
		fmt.Fprintf(&all, "   walls    %s\n", letters(walls.Example(seed)))
		fmt.Fprintf(&all, "   towers   %s\n", letters(towerSuite().Example(seed)))
		fmt.Fprintf(&all, "   till     %s\n", letters(tillSuite().Example(seed)))
	}
	golden(t, "seeds", all.String())
}

// TestSought checks that the search for what never came is the same on every machine. It
// begins with histories that got far, and tries the wanted kinds first.
func TestSought(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	var far [][]parcelCmd
	for seed := range uint64(200) {
		var cmds []parcelCmd
		for _, s := range parcelSuite().Example(seed).Steps {
			cmds = append(cmds, s.Command)
		}
		far = append(far, cmds)
	}
	for seed := range uint64(48) {
		fmt.Fprintf(&all, "%2d %s\n", seed, letters(props.Sought(parcelSuite(), seed, []string{"pack", "label"}, far...)))
	}
	fmt.Fprintf(&all, "without histories: %s\n", letters(props.Sought(parcelSuite(), 1, nil)))
	golden(t, "sought", all.String())
}

// TestCommandsShare checks that most commands are drawn if there are samples too, and all
// of them if there are none.
func TestCommandsShare(t *testing.T) {
	t.Parallel()
	d := decider.New(func(any, int) ([]any, error) { return []any{1}, nil }, func(s int, _ any) int { return s })
	draw := func(*rapid.T, int) any { return rain{} }
	for name, tt := range map[string]struct {
		suite       props.Suite[any, int, any]
		least, most int // percent
	}{
		"both":     {props.For(d).Any(wind{}).Commands(draw), 55, 75},
		"commands": {props.For(d).Commands(draw), 100, 100},
		"samples":  {props.For(d).Any(wind{}), 0, 0},
	} {
		drawn, all := 0, 0
		for seed := range uint64(200) {
			for _, s := range tt.suite.Example(seed).Steps {
				all++
				if s.Command == (rain{}) {
					drawn++
				}
			}
		}
		if got := 100 * drawn / all; got < tt.least || got > tt.most {
			t.Errorf("%s: %d %% of the commands are drawn, want %d to %d %%", name, got, tt.least, tt.most)
		}
	}
}
