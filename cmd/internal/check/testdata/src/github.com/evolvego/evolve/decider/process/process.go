// Package process has the shapes of the real one.
package process

import "github.com/evolvego/evolve/decider/codec"

type Runtime[E, S any] struct{ state S }

func (r *Runtime[E, S]) WithTimers(c *codec.Named[E]) *Runtime[E, S] { return r }
