package decider_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/decider"
)

// broken is a rapid.TB that records the failure of a property and aborts it.
type broken struct{ rapid.TB }

type found struct{ rapid.TB }

func (broken) Helper() {}

// Fatalf aborts the property.
func (b broken) Fatalf(string, ...any) { panic(found(b)) }

// breaks reports whether law, on a combinator with a planted bug, fails for one of some
// hundred draws, which are always the same.
func breaks(law func(t *rapid.T, tb rapid.TB)) bool {
	for seed := range 500 {
		broke := rapid.Custom(func(t *rapid.T) (broke bool) {
			defer func() {
				switch r := recover().(type) {
				case nil:
				case found:
					broke = true
				default:
					panic(r) // a panic of rapid itself, such as a draw that is discarded
				}
			}()
			law(t, broken{})
			return false
		}).Example(seed)
		if broke {
			return true
		}
	}
	return false
}

// with returns d with another Decide.
func with[C, S, E any](d decider.Decider[C, S, E], decide func(C, S) ([]E, error)) decider.Decider[C, S, E] {
	d.Decide = decide
	return d
}

// unionThat returns Union with another Decide.
func unionThat[S any](decide func(ds []decider.Decider[int, S, int], c int, s S) ([]int, error)) func(func() S, ...decider.Decider[int, S, int]) decider.Decider[int, S, int] {
	return func(seed func() S, ds ...decider.Decider[int, S, int]) decider.Decider[int, S, int] {
		return with(decider.Union(seed, ds...), func(c int, s S) ([]int, error) { return decide(ds, c, s) })
	}
}

// planted returns broken combinators, each with the law that must find the bug.
func planted() map[string]func(t *rapid.T, tb rapid.TB) {
	type law = func(t *rapid.T, tb rapid.TB)
	return map[string]law{
		"MapCommand forgets its function": func(t *rapid.T, tb rapid.TB) {
			mapCommandLaw(t, tb, func(d numbers, _ func(int) int) numbers { return d })
		},
		"MapCommand maps twice": func(t *rapid.T, tb rapid.TB) {
			mapCommandLaw(t, tb, func(d numbers, f func(int) int) numbers {
				return decider.MapCommand(d, func(c int) int { return f(f(c)) })
			})
		},
		"MapError hides unhandled commands": func(t *rapid.T, tb rapid.TB) {
			mapErrorLaw(t, tb, func(d numbers, f func(error) error) numbers {
				return decider.MapError(d, func(err error) error {
					if errors.Is(err, decider.ErrUnhandled) {
						return errFull
					}
					return f(err)
				})
			})
		},
		"MapError keeps the events": func(t *rapid.T, tb rapid.TB) {
			mapErrorLaw(t, tb, func(d numbers, f func(error) error) numbers {
				return with(d, func(c, s int) ([]int, error) {
					es, err := d.Decide(c, s)
					if err != nil {
						return []int{0}, f(err)
					}
					return es, nil
				})
			})
		},
		"MapEvent evolves foreign events": func(t *rapid.T, tb rapid.TB) {
			mapEventLaw(t, tb, func(d numbers, in func(int) (int, bool), out func(int) int) numbers {
				return decider.MapEvent(d, func(e int) (int, bool) {
					if own, ok := in(e); ok {
						return own, true
					}
					return 0, true
				}, out)
			})
		},
		"MapEvent overwrites decided events": func(t *rapid.T, tb rapid.TB) {
			mapEventLaw(t, tb, func(d numbers, in func(int) (int, bool), out func(int) int) numbers {
				return with(decider.MapEvent(d, in, out), func(c, s int) ([]int, error) {
					es, err := d.Decide(c, s)
					for i := range es {
						es[i] = out(es[i])
					}
					return es, err
				})
			})
		},
		"Focus forgets the rest": func(t *rapid.T, tb rapid.TB) {
			focusLaw(t, tb, func(d numbers, get func(both) int, set func(both, int) both) halves {
				return decider.Focus(d, get, func(_ both, a int) both { return set(both{}, a) })
			})
		},
		"Focus forgets the initial state": func(t *rapid.T, tb rapid.TB) {
			focusLaw(t, tb, func(d numbers, get func(both) int, set func(both, int) both) halves {
				f := decider.Focus(d, get, set)
				f.Initial = nil
				return f
			})
		},
		"Focus forgets the terminal state": func(t *rapid.T, tb rapid.TB) {
			focusLaw(t, tb, func(d numbers, get func(both) int, set func(both, int) both) halves {
				f := decider.Focus(d, get, set)
				f.Terminal = nil
				return f
			})
		},
		"Union decides on the state after the previous member": func(t *rapid.T, tb rapid.TB) {
			unionLaw(t, tb, unionThat(func(ds []halves, c int, s both) (all []int, err error) {
				handled := false
				for _, d := range ds {
					after, es, err := d.Step(c, s)
					if errors.Is(err, decider.ErrUnhandled) {
						continue
					}
					if err != nil {
						return nil, err
					}
					s, all, handled = after, slices.Concat(all, es), true
				}
				if !handled {
					return nil, decider.ErrUnhandled
				}
				return all, nil
			}))
		},
		"Union skips members that reject": func(t *rapid.T, tb rapid.TB) {
			unionLaw(t, tb, unionThat(func(ds []halves, c int, s both) (all []int, err error) {
				err = decider.ErrUnhandled
				for _, d := range ds {
					if es, rejected := d.Decide(c, s); rejected == nil {
						all, err = slices.Concat(all, es), nil
					}
				}
				return all, err
			}))
		},
		"Union asks only the first member that handles": func(t *rapid.T, tb rapid.TB) {
			unionLaw(t, tb, unionThat(func(ds []halves, c int, s both) ([]int, error) {
				for _, d := range ds {
					if es, err := d.Decide(c, s); !errors.Is(err, decider.ErrUnhandled) {
						return es, err
					}
				}
				return nil, decider.ErrUnhandled
			}))
		},
		"Union appends to a member's events": func(t *rapid.T, tb rapid.TB) {
			unionLaw(t, tb, unionThat(func(ds []halves, c int, s both) (all []int, err error) {
				for i, d := range ds {
					es, err := d.Decide(c, s)
					if err != nil {
						return decider.Union(nil, ds...).Decide(c, s)
					}
					if i == 0 {
						all = es
					} else {
						all = append(all, es...)
					}
				}
				return all, nil
			}))
		},
		"Union ends with the first member": func(t *rapid.T, tb rapid.TB) {
			unionLaw(t, tb, func(seed func() both, ds ...halves) halves {
				u := decider.Union(seed, ds...)
				u.Terminal = func(s both) bool {
					return slices.ContainsFunc(ds, func(d halves) bool { return d.IsTerminal(s) })
				}
				return u
			})
		},
		"Union of none accepts": func(t *rapid.T, tb rapid.TB) {
			unionMonoidLaw(t, tb, unionThat(func(ds []thirds, c int, s trio) ([]int, error) {
				if len(ds) == 0 {
					return nil, nil
				}
				return decider.Union(nil, ds...).Decide(c, s)
			}))
		},
		"Union puts the last first": func(t *rapid.T, tb rapid.TB) {
			unionMonoidLaw(t, tb, unionThat(func(ds []thirds, c int, s trio) ([]int, error) {
				if len(ds) == 3 {
					ds = []thirds{ds[2], ds[0], ds[1]}
				}
				return decider.Union(nil, ds...).Decide(c, s)
			}))
		},
		"Compose lets the left see the right state": func(t *rapid.T, tb rapid.TB) {
			composeLaw(t, tb, func(a decider.Decider[msgA, int, msgA], b decider.Decider[msgB, int, msgB]) composed {
				c := decider.Compose(a, b)
				evolve := c.Evolve
				c.Evolve = func(s decider.Pair[int, int], e decider.Either[msgA, msgB]) decider.Pair[int, int] {
					if e.IsRight {
						s.Left = a.Evolve(s.Left, msgA(e.Right))
					}
					return evolve(s, e)
				}
				return c
			})
		},
		"Compose ends when one side does": func(t *rapid.T, tb rapid.TB) {
			composeLaw(t, tb, func(a decider.Decider[msgA, int, msgA], b decider.Decider[msgB, int, msgB]) composed {
				c := decider.Compose(a, b)
				c.Terminal = func(s decider.Pair[int, int]) bool { return a.IsTerminal(s.Left) || b.IsTerminal(s.Right) }
				return c
			})
		},
		"Many writes its map in place": func(t *rapid.T, tb rapid.TB) {
			manyLaw(t, tb, func(d numbers) decider.Decider[keyed, map[string]int, keyed] {
				m := decider.Many[string](d)
				evolve := m.Evolve
				m.Evolve = func(states map[string]int, e keyed) map[string]int {
					if states == nil {
						return evolve(states, e)
					}
					states[e.Key] = evolve(states, e)[e.Key]
					return states
				}
				return m
			})
		},
		"Many begins each key at zero": func(t *rapid.T, tb rapid.TB) {
			manyLaw(t, tb, func(d numbers) decider.Decider[keyed, map[string]int, keyed] {
				d.Initial = nil
				return decider.Many[string](d)
			})
		},
		"Many takes one key for another": func(t *rapid.T, tb rapid.TB) {
			manyLaw(t, tb, func(d numbers) decider.Decider[keyed, map[string]int, keyed] {
				m := decider.Many[string](d)
				return with(m, func(c keyed, states map[string]int) ([]keyed, error) {
					if _, ok := states["x"]; ok {
						c.Key = "x"
					}
					return m.Decide(c, states)
				})
			})
		},
		"Batch decides all commands on the first state": func(t *rapid.T, tb rapid.TB) {
			batchLaw(t, tb, batchThat(func(d numbers, cmds []int, s int) (all []int, err error) {
				for i, c := range cmds {
					es, err := d.Decide(c, s)
					if err != nil {
						return nil, &decider.BatchError{Index: i, Err: err}
					}
					all = append(all, es...)
				}
				return all, nil
			}))
		},
		"Batch keeps the events before a rejection": func(t *rapid.T, tb rapid.TB) {
			batchLaw(t, tb, batchThat(func(d numbers, cmds []int, s int) (all []int, err error) {
				for i, c := range cmds {
					after, es, err := d.Step(c, s)
					if err != nil {
						return all, &decider.BatchError{Index: i, Err: err}
					}
					s, all = after, append(all, es...)
				}
				return all, nil
			}))
		},
		"Batch skips rejected commands": func(t *rapid.T, tb rapid.TB) {
			batchLaw(t, tb, batchThat(func(d numbers, cmds []int, s int) (all []int, err error) {
				for _, c := range cmds {
					after, es, _ := d.Step(c, s)
					s, all = after, append(all, es...)
				}
				return all, nil
			}))
		},
		"WithProcess decides follow-ups on the first state": func(t *rapid.T, tb rapid.TB) {
			withProcessLaw(t, tb, func(d numbers, p process, limit int) decider.Decider[int, pair, int] {
				w := decider.WithProcess(d, p, limit)
				return with(w, func(c int, s pair) ([]int, error) {
					frozen := with(d, func(c, _ int) ([]int, error) { return d.Decide(c, s.Left) })
					return decider.WithProcess(frozen, p, limit).Decide(c, s)
				})
			})
		},
		"WithProcess stops one follow-up too late": func(t *rapid.T, tb rapid.TB) {
			withProcessLaw(t, tb, func(d numbers, p process, limit int) decider.Decider[int, pair, int] {
				return decider.WithProcess(d, p, limit+1)
			})
		},
		"WithProcess keeps the events before the limit": func(t *rapid.T, tb rapid.TB) {
			withProcessLaw(t, tb, func(d numbers, p process, limit int) decider.Decider[int, pair, int] {
				w := decider.WithProcess(d, p, limit)
				return with(w, func(c int, s pair) ([]int, error) {
					es, err := w.Decide(c, s)
					if limited := (*decider.LimitError)(nil); errors.As(err, &limited) {
						return d.Decide(c, s.Left)
					}
					return es, err
				})
			})
		},
		"WithProcess asks a process that is over": func(t *rapid.T, tb rapid.TB) {
			withProcessLaw(t, tb, func(d numbers, p process, limit int) decider.Decider[int, pair, int] {
				p.Terminal = nil
				return decider.WithProcess(d, p, limit)
			})
		},
		"Merge uses only the first view": func(t *rapid.T, tb rapid.TB) {
			mergeLaw(t, tb, func(seed func() both, vs ...view) view {
				return decider.Merge(seed, vs[:min(1, len(vs))]...)
			})
		},
		"Merge goes through its views backwards": func(t *rapid.T, tb rapid.TB) {
			mergeLaw(t, tb, func(seed func() both, vs ...view) view {
				if len(vs) == 3 {
					slices.Reverse(vs)
				}
				return decider.Merge(seed, vs...)
			})
		},
	}
}

// batchThat returns Batch with another Decide.
func batchThat(decide func(d numbers, cmds []int, s int) ([]int, error)) func(numbers) decider.Decider[[]int, int, int] {
	return func(d numbers) decider.Decider[[]int, int, int] {
		return with(decider.Batch(d), func(cmds []int, s int) ([]int, error) { return decide(d, cmds, s) })
	}
}

// TestPlanted checks that the laws can fail: each finds the bugs that are planted for it.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for name, law := range planted() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !breaks(law) {
				t.Error("the law did not find the bug")
			}
		})
	}
}
