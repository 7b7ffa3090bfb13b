// Package decider has the shapes of the real one.
package decider

import "errors"

var ErrUnhandled = errors.New("decider: unhandled command")

type Decider[C, S, E any] struct {
	Decide   func(cmd C, state S) ([]E, error)
	Evolve   func(state S, event E) S
	Initial  func() S
	Terminal func(state S) bool

	EvolveInPlace func(state *S, event E)
}

func New[C, S, E any](decide func(C, S) ([]E, error), evolve func(S, E) S) Decider[C, S, E] {
	return Decider[C, S, E]{Decide: decide, Evolve: evolve}
}

type Aggregate[C, S, E any] interface {
	Decide(cmd C, state S) ([]E, error)
	Evolve(state S, event E) S
}

func Of[C, S, E any](a Aggregate[C, S, E]) Decider[C, S, E] {
	return New(a.Decide, a.Evolve)
}

func Union[C, S, E any](seed func() S, ds ...Decider[C, S, E]) Decider[C, S, E] {
	return Decider[C, S, E]{Initial: seed}
}

func Focus[S2, C, S, E any](d Decider[C, S, E], get func(S2) S, set func(S2, S) S2) Decider[C, S2, E] {
	return Decider[C, S2, E]{}
}

type View[S, E any] struct {
	Evolve  func(state S, event E) S
	Initial func() S
}

type Process[E, S, C any] struct {
	Evolve   func(state S, event E) S
	React    func(state S, event E) Reaction[C, E]
	Pending  func(state S) []C
	Key      func(event E) (instance string, ok bool)
	Initial  func() S
	Terminal func(state S) bool
}

type Reaction[C, E any] struct {
	Send   []C
	Cancel []string
}
