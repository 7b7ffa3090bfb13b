// Package codec has the shapes of the real one.
package codec

type Named[E any] struct{ names map[string]E }

type Upcaster struct{ name string }

func JSON[E any](names map[string]E, upcasters ...Upcaster) *Named[E]  { return &Named[E]{names} }
func Proto[E any](names map[string]E, upcasters ...Upcaster) *Named[E] { return &Named[E]{names} }

func Up[Old, New any](name string, schema uint32, f func(Old) New) Upcaster { return Upcaster{name} }
