package props

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/samber/lo"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// Valid says which commands can occur in a state. Others are neither generated nor kept
// when a failure is shrunk. Use it for what is checked before the decider: a constructor
// may make an amount without a currency impossible. Without Valid every command can occur
// in every state, and Decide has to cope.
func (s Suite[C, S, E]) Valid(valid func(state S, cmd C) bool) Suite[C, S, E] {
	s.valid = valid
	return s
}

// Possible adds a law with the given name: from every state for which from is true, the
// commands of plan, run in order, lead to a state for which then is true. Commands of
// plan may be rejected on the way. Use it to say that something can always be done ("an
// open account can be closed"), where a rule says what must not happen. The law fails if
// from is never true.
func (s Suite[C, S, E]) Possible(name string, from func(state S) bool, plan func(state S) []C, then func(state S) bool) Suite[C, S, E] {
	try := func(r *run[C, S, E], i int, state S) *breach {
		return complaint(i, func() error {
			if !from(state) {
				return nil
			}
			h := playFrom(r.decider, state, plan(state))
			if then(h.end()) {
				return nil
			}
			return fmt.Errorf("from %s\n%s\nleads to %s", show.Text(state), show.Indent(orElse(h.String(), "no command"), "  "), show.Text(h.end()))
		})
	}
	s = s.with(law[C, S, E]{name: name, domain: true, check: func(r *run[C, S, E], cmds []C) *breach {
		if b := try(r, -1, r.decider.Start()); b != nil {
			return b
		}
		return r.walk(cmds, func(i int, st Step[C, S, E]) *breach { return try(r, i, st.After) })
	}})
	return s.Reaches(name+": there is such a state", func(st Step[C, S, E]) bool { return from(st.Before) || from(st.After) })
}

// orElse returns s, or other if it is empty.
func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// Idempotent adds the law that repeating an accepted command decides no events. It
// applies to the kinds of commands in samples, or to all kinds if there are no samples.
// Commands that [Suite.Valid] excludes after they were accepted are not repeated.
func (s Suite[C, S, E]) Idempotent(samples ...C) Suite[C, S, E] {
	kinds := make([]string, len(samples))
	for i, c := range samples {
		kinds[i] = show.Kind(c)
	}
	return s.with(law[C, S, E]{name: "a repeated command changes nothing", domain: true, check: func(r *run[C, S, E], cmds []C) *breach {
		return r.walk(cmds, func(i int, st Step[C, S, E]) *breach {
			if st.Err != nil || len(kinds) > 0 && !slices.Contains(kinds, show.Kind(st.Command)) {
				return nil
			}
			if !r.generator.permits(st.After, st.Command) {
				return nil
			}
			again := step(r.decider, value.Clone(st.Command), st.After)
			if again.Err != nil || len(again.Events) == 0 {
				return nil
			}
			return breachf(i, "%s was accepted, and when it is repeated it decides\n  %s", show.Text(st.Command), again.outcome())
		})
	}})
}

// Rejections adds the law that Decide rejects only with these errors: by errors.Is, or
// with the same type and the same value. A struct without a value, or a pointer to one,
// such as UnknownCopyError{}, stands for all errors of its type. Any other error is a
// fault that callers do not expect. With -v the errors that never occurred are logged. It
// panics if an error is nil.
func (s Suite[C, S, E]) Rejections(errs ...error) Suite[C, S, E] {
	if slices.Contains(errs, nil) {
		panic("props: Rejections(nil)")
	}
	s.rejections = append(slices.Clip(s.rejections), errs...)
	declared := s.rejections
	is := func(err error) bool {
		return slices.ContainsFunc(declared, func(target error) bool { return allowed(err, target) })
	}
	const name = "rejections are declared"
	s.laws = slices.DeleteFunc(slices.Clone(s.laws), func(l law[C, S, E]) bool { return l.name == name })
	return s.with(law[C, S, E]{name: name, spec: true, domain: true, check: func(r *run[C, S, E], cmds []C) *breach {
		return r.decisions(cmds, func(i int, st Step[C, S, E]) *breach {
			if st.Err == nil || is(st.Err) {
				return nil
			}
			for _, target := range declared {
				if e := sameType(st.Err, target); e != nil {
					return breachf(i, "%s was rejected with an error that Rejections lists with another value:\n  %s\n  listed is %s; list %T without a value to allow all errors of this type",
						show.Text(st.Command), show.Text(e), show.Text(target), target)
				}
			}
			return breachf(i, "%s was rejected with an error that Rejections does not list:\n  %v (a %T)", show.Text(st.Command), st.Err, st.Err)
		})
	}})
}

// Without leaves out laws, given the names of their subtests. Check logs their names, and
// fails if a law does not exist.
func (s Suite[C, S, E]) Without(laws ...string) Suite[C, S, E] {
	s.without = append(slices.Clip(s.without), laws...)
	return s
}

// chosen returns the laws to check.
func (s Suite[C, S, E]) chosen() []law[C, S, E] {
	return slices.DeleteFunc(s.all(), func(l law[C, S, E]) bool {
		return slices.Contains(s.without, l.name)
	})
}

// all returns the laws of s, also those that Without leaves out.
func (s Suite[C, S, E]) all() []law[C, S, E] {
	general := laws[C, S, E]()
	if s.decider.EvolveInPlace != nil {
		general = append(general, law[C, S, E]{name: "evolve in place is evolve", check: inPlace[C, S, E]})
	}
	return slices.Concat(general, s.laws)
}

// unknown returns the names given to Without that belong to no law, or "" if all do.
func (s Suite[C, S, E]) unknown() string {
	names := slices.Concat(
		lo.Map(s.all(), func(l law[C, S, E], _ int) string { return l.name }),
		lo.Map(newCoverage(s).all(), func(v verdict, _ int) string { return v.name }),
	)
	missing := lo.Without(s.without, names...)
	if len(missing) == 0 {
		return ""
	}
	quoted := lo.Map(missing, func(n string, _ int) string { return strconv.Quote(n) })
	return fmt.Sprintf("props: Without(%s): there is no such law, only\n\t%s", strings.Join(quoted, ", "), strings.Join(names, "\n\t"))
}
