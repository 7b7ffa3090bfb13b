package props

import (
	"reflect"
	"slices"
	"time"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/internal/value"
)

// shrinkBudget is how long to shrink a failure. A small part of a second is enough,
// except for slow deciders on busy machines. The tests of this package take their time.
var shrinkBudget = 10 * time.Second //nolint:gochecknoglobals // for tests

// shrinker makes a list of commands smaller while it still breaks the law.
type shrinker[C any] struct {
	cmds   []C
	breach *breach
	check  func([]C) *breach
	blanks []blank[C]
	tries  int
	until  time.Time
}

// shrink returns the smallest failure that it finds in time.
func (s *shrinker[C]) shrink() {
	s.cutAfter()
	for changed := true; changed && !s.late(); {
		changed = s.chunks()
		changed = s.pairs() || changed
		changed = s.fields() || changed
		for s.together() {
			changed = true
		}
		changed = changed || s.runs() || s.both()
	}
}

func (s *shrinker[C]) late() bool { return now().After(s.until) }

// try keeps cmds if they break the law too.
func (s *shrinker[C]) try(cmds []C) bool {
	if s.late() {
		return false
	}
	s.tries++
	b := s.check(cmds)
	if b == nil {
		return false
	}
	s.cmds, s.breach = cmds, b
	s.cutAfter()
	return true
}

// cutAfter drops the commands after the step that breaks the law, if they are not needed.
func (s *shrinker[C]) cutAfter() {
	if n := s.breach.step + 1; n < len(s.cmds) {
		s.tries++
		if b := s.check(s.cmds[:n]); b != nil {
			s.cmds, s.breach = s.cmds[:n], b
		}
	}
}

// chunks drops parts of the commands: halves, quarters, and so on down to single ones.
func (s *shrinker[C]) chunks() (changed bool) {
	for size := max(1, len(s.cmds)/2); size > 0; size /= 2 {
		for i := len(s.cmds) - size; i >= 0; i = min(i, len(s.cmds)) - size {
			changed = s.try(slices.Delete(slices.Clone(s.cmds), i, i+size)) || changed
		}
	}
	return changed
}

// runs drops the longest runs of commands that it can, such as deposits together with the
// withdrawals that take all of them.
func (s *shrinker[C]) runs() bool {
	for size := len(s.cmds) - 1; size > 1; size-- {
		for i := range len(s.cmds) - size + 1 {
			if s.try(slices.Delete(slices.Clone(s.cmds), i, i+size)) {
				return true
			}
		}
	}
	return false
}

// pairs drops two commands at once that depend on each other.
func (s *shrinker[C]) pairs() (changed bool) {
	for i := 0; i < len(s.cmds); i++ {
		for j := i + 1; j < len(s.cmds) && i < len(s.cmds); j++ {
			without := slices.Delete(slices.Clone(s.cmds), j, j+1)
			changed = s.try(slices.Delete(without, i, i+1)) || changed
		}
	}
	return changed
}

// fields makes the fields of the commands smaller.
func (s *shrinker[C]) fields() (changed bool) {
	for i := 0; i < len(s.cmds); i++ {
		for s.smaller(i) {
			changed = true
		}
	}
	return changed
}

// smaller tries each way to make command i smaller, until one works.
func (s *shrinker[C]) smaller(i int) bool {
	if i >= len(s.cmds) {
		return false
	}
	for _, cmd := range s.variants(i) {
		cmds := slices.Clone(s.cmds)
		cmds[i] = cmd
		if s.try(cmds) {
			return true
		}
	}
	return false
}

// open returns the fields of command i that may change.
func (s *shrinker[C]) open(i int) (fields []int) {
	v := value.Struct(reflect.ValueOf(&s.cmds[i]).Elem())
	if v.Kind() != reflect.Struct {
		return nil
	}
	for n := range v.NumField() {
		if v.Type().Field(n).IsExported() && !s.kept(i, n) {
			fields = append(fields, n)
		}
	}
	return fields
}

// variants returns command i with one of its fields made smaller.
func (s *shrinker[C]) variants(i int) (out []C) {
	v := value.Struct(reflect.ValueOf(&s.cmds[i]).Elem())
	for _, n := range s.open(i) {
		for _, to := range value.Smaller(v.Field(n)) {
			out = append(out, value.Edit(s.cmds[i], func(v reflect.Value) { v.Field(n).Set(to) }))
		}
	}
	return out
}

// short is the longest list of which both and together try every pair of commands. For a
// list as long as that they need about ten thousand runs.
const short = 32

// both drops a command and makes another smaller at once: a deposit that paid for part of
// a withdrawal, and the withdrawal.
func (s *shrinker[C]) both() bool {
	if len(s.cmds) > short {
		return false
	}
	for i := range s.cmds {
		for j := range s.cmds {
			if i == j {
				continue
			}
			for _, cmd := range s.variants(j) {
				cmds := slices.Clone(s.cmds)
				cmds[j] = cmd
				if s.try(slices.Delete(cmds, i, i+1)) {
					return true
				}
			}
		}
	}
	return false
}

// together subtracts the same number from an integer of two commands, such as a deposit
// and the withdrawal that it paid for.
func (s *shrinker[C]) together() bool {
	if len(s.cmds) > short {
		return false
	}
	for i := range s.cmds {
		for j := range i {
			for _, n := range s.open(i) {
				for _, m := range s.open(j) {
					if s.lessen(i, n, j, m) {
						return true
					}
				}
			}
		}
	}
	return false
}

// lessen subtracts the same number from field n of command i and from field m of command
// j: as much as still breaks the law.
func (s *shrinker[C]) lessen(i, n, j, m int) bool {
	x, y := signed(s.cmds[i], n), signed(s.cmds[j], m)
	for less := x; less != 0; less /= 2 {
		if (y < 0) != (less < 0) || y/less == 0 {
			continue // the result would not be smaller
		}
		cmds := slices.Clone(s.cmds)
		cmds[i], cmds[j] = minus(cmds[i], n, less), minus(cmds[j], m, less)
		if s.try(cmds) {
			return true
		}
	}
	return false
}

// signed returns the number in field n of cmd, or 0 if it is no signed integer.
func signed[C any](cmd C, n int) int64 {
	if f := value.Struct(reflect.ValueOf(&cmd).Elem()).Field(n); f.CanInt() {
		return f.Int()
	}
	return 0
}

// minus returns cmd with field n, a signed integer, reduced by less.
func minus[C any](cmd C, n int, less int64) C {
	return value.Edit(cmd, func(v reflect.Value) { v.Field(n).SetInt(v.Field(n).Int() - less) })
}

// kept reports whether field n of command i has the value that a sample sets.
func (s *shrinker[C]) kept(i, n int) bool {
	v := value.Struct(reflect.ValueOf(&s.cmds[i]).Elem())
	return slices.ContainsFunc(s.blanks, func(b blank[C]) bool {
		sample := value.Struct(reflect.ValueOf(&b.sample).Elem())
		return sample.Type() == v.Type() && !show.Empty(sample.Field(n)) && show.Value(sample.Field(n)) == show.Value(v.Field(n))
	})
}
