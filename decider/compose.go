package decider

// Pair is two states side by side.
type Pair[X, Y any] struct {
	Left  X
	Right Y
}

// Either is a value of one of two types: Right if IsRight is set, and Left otherwise. The
// other field is zero. The zero Either is the zero X on the left.
type Either[X, Y any] struct {
	Left    X
	Right   Y
	IsRight bool
}

// Left returns x as an Either. Write the type of the other side as the type argument:
// Left[PaymentCommand](cmd).
func Left[Y, X any](x X) Either[X, Y] {
	return Either[X, Y]{Left: x}
}

// Right returns y as an Either. Write the type of the other side as the type argument:
// Right[CartCommand](cmd).
func Right[X, Y any](y Y) Either[X, Y] {
	return Either[X, Y]{Right: y, IsRight: true}
}

// Compose returns x and y side by side. Use it for two deciders that share no interface.
// If they share one, [Union] reads better and takes any number. Commands and events on
// the left belong to x, and those on the right to y. Neither sees the other's state.
// Errors, including [ErrUnhandled], are those of the side that decides.
//
// Initial combines both. Terminal is true when both are terminal.
func Compose[CX, SX, EX, CY, SY, EY any](x Decider[CX, SX, EX], y Decider[CY, SY, EY]) Decider[Either[CX, CY], Pair[SX, SY], Either[EX, EY]] {
	type (
		command = Either[CX, CY]
		state   = Pair[SX, SY]
		event   = Either[EX, EY]
	)
	left := MapEvent(x, func(e event) (EX, bool) { return e.Left, !e.IsRight }, Left[EY, EX])
	right := MapEvent(y, func(e event) (EY, bool) { return e.Right, e.IsRight }, Right[EX, EY])
	composed := Decider[command, state, event]{
		Decide: func(cmd command, s state) ([]event, error) {
			if cmd.IsRight {
				return right.Decide(cmd.Right, s.Right)
			}
			return left.Decide(cmd.Left, s.Left)
		},
		Evolve: func(s state, e event) state {
			return state{left.Evolve(s.Left, e), right.Evolve(s.Right, e)}
		},
		Initial: func() state { return state{x.Start(), y.Start()} },
	}
	if x.Terminal != nil && y.Terminal != nil {
		composed.Terminal = func(s state) bool { return x.Terminal(s.Left) && y.Terminal(s.Right) }
	}
	return composed
}
