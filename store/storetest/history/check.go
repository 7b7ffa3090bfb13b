package history

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest/internal/judge"
)

// History is the calls about a stream, and the events that the stream has in the end.
type History struct {
	Stream store.Stream
	Ops    []Op     // in any order; those of other streams do not count
	Final  []string // the ids of the stream's events, from version 1 on, when all was over
}

// Check returns an error unless h is linearizable: each call takes effect at one moment
// between its beginning and its end, and a store that executes the calls one at a time, in
// the order of these moments, gives the same answers. An append with an unknown outcome may
// take effect at any moment after it began, or never.
//
// The error names two calls that contradict each other, and shows the calls between them
// that matter. Check takes time that is linear in the number of calls and events.
//
// A batch that is appended more than once must be the same each time, and h must contain
// every append to the stream.
//
// # Why looking at two calls is enough
//
// A stream tells its own order: Final says which append made which version, and
// that order of the appends is the only one possible. Give the append that made
// version v the rank 2v, and the state after it the rank 2v+1. Every answer tells
// between which ranks its call took effect, from lo to hi: an append at its own;
// a read with Head v, or a conflict with version v, at 2v+1; a replay of events up
// to version v at 2v+1 or later; the refusal of a duplicate at 2v+1 or later, if its id
// is version v. An order of the calls explains all answers if
// it puts x before y wherever x.hi < y.lo, for then each call stands between the
// right appends. And it must put x before y wherever x ended before y began.
//
// Both are interval orders: if w < x and y < z, then w < z or y < x. Suppose that
// together they have a cycle, and take a shortest. Edges of one kind that follow each
// other are one edge, as each order is transitive; so the kinds alternate, and the cycle
// begins w <time x <rank y <time z. If w <time z, then w <time z is a shortcut
// past x and y, unless z <rank w closes the cycle, and then w and z contradict each other;
// if y <time x, then x and y do, since x <rank y. So a shortest cycle has length two:
// if no two calls contradict each other there is no cycle, hence an order that
// keeps both, and h is linearizable. Two calls contradict each other if x ended
// before y began and y.hi < x.lo; for every x it is enough to look at that y with hi
// below x.lo which began last.
func Check(h History) error {
	c := &checker{History: h, writers: make([]*Op, len(h.Final)), ends: make([]int, len(h.Final)+1)}
	if a := c.check(); a != nil {
		return a
	}
	return nil
}

// anomaly is why a history is not linearizable.
type anomaly struct {
	stream store.Stream
	why    string
	ops    []*Op // the first one or two contradict, the others are between them
}

// Error says what is wrong, with which calls.
func (a *anomaly) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "history: stream %s is not linearizable: %s", a.stream, a.why)
	for i, op := range a.ops {
		if i == 2 {
			text.WriteString("\nbetween them:")
		}
		end := "…"
		if op.Return != 0 {
			end = strconv.FormatInt(op.Return, 10)
		}
		fmt.Fprintf(&text, "\n%6d-%-4s %s", op.Call, end, op)
	}
	return text.String()
}

// checker checks a history.
type checker struct {
	History
	version map[string]int // of each id in Final
	writers []*Op          // which append made which version, from 1 on
	ends    []int          // the last version of the batch that each version is in; of 0: 0
	placed  []placed
}

// unknown reports whether op may have happened, or may happen later.
func (op *Op) unknown() bool {
	return op.Return == 0 || op.Err != nil && !store.Definite(op.Err)
}

// placed is a call, and between which ranks it took effect.
type placed struct {
	*Op
	lo, hi int
}

func (p *placed) over() int64 {
	if p.unknown() {
		return math.MaxInt64
	}
	return p.Return
}

func (c *checker) check() *anomaly {
	for _, step := range []func() *anomaly{c.number, c.attribute, c.place, c.compare} {
		if a := step(); a != nil {
			return a
		}
	}
	return nil
}

func (c *checker) anomaly(why string, ops ...*Op) *anomaly {
	ops = slices.DeleteFunc(ops, func(op *Op) bool { return op == nil })
	return &anomaly{c.Stream, why, ops}
}

// number finds the version of each event.
func (c *checker) number() *anomaly {
	c.version = make(map[string]int, len(c.Final))
	for i, id := range c.Final {
		if other, ok := c.version[id]; ok {
			return c.anomaly(fmt.Sprintf("versions %d and %d are the same event %q", other, i+1, id))
		}
		c.version[id] = i + 1
	}
	return nil
}

// wrote reports whether op can be the append that made the versions from v on.
func (c *checker) wrote(op *Op, v int) bool {
	if !c.stands(op, v) {
		return false
	}
	if op.Return != 0 && op.Err == nil {
		return !op.Appended.Replayed && op.Appended.Version == uint64(v-1+len(op.IDs))
	}
	return op.unknown() && op.Expected.Matches(uint64(v-1))
}

// stands reports whether the events of op are the versions from v on, in the end.
func (c *checker) stands(op *Op, v int) bool {
	end := v - 1 + len(op.IDs)
	return v > 0 && end <= len(c.Final) && slices.Equal(op.IDs, c.Final[v-1:end])
}

// attribute finds the append that made each version. One that was acknowledged
// goes before those whose outcome is unknown, of which the first that began is as
// good as any.
func (c *checker) attribute() *anomaly {
	for i := range c.Ops {
		op := &c.Ops[i]
		if op.Stream != c.Stream || op.Expected == 0 || len(op.IDs) == 0 {
			continue
		}
		v := c.version[op.IDs[0]]
		if c.wrote(op, v) && (c.writers[v-1] == nil || c.better(op, c.writers[v-1])) {
			c.writers[v-1] = op
		}
	}
	for v := 1; v <= len(c.Final); {
		op := c.writers[v-1]
		if op == nil {
			return c.anomaly(fmt.Sprintf("version %d is event %q, and no append can have made it", v, c.Final[v-1]), c.about(c.Final[v-1]))
		}
		end := v + len(op.IDs) - 1
		for ; v <= end; v++ {
			c.writers[v-1], c.ends[v] = op, end
		}
	}
	return nil
}

func (*checker) better(op, other *Op) bool {
	return !op.unknown() && other.unknown() || op.unknown() == other.unknown() && op.Call < other.Call
}

// about returns an append that has the event, or nil.
func (c *checker) about(id string) *Op {
	for i := range c.Ops {
		if slices.Contains(c.Ops[i].IDs, id) {
			return &c.Ops[i]
		}
	}
	return nil
}

// writer returns the append that made version v; nil if there is none.
func (c *checker) writer(v int) *Op {
	if v < 1 || v > len(c.writers) {
		return nil
	}
	return c.writers[v-1]
}

// place finds between which ranks each call took effect.
func (c *checker) place() *anomaly {
	c.placed = make([]placed, 0, len(c.Ops))
	for i := range c.Ops {
		op := &c.Ops[i]
		var a *anomaly
		switch {
		case op.Stream != c.Stream, op.Expected != 0 && len(op.IDs) == 0:
		case op.Return != 0 && op.Return < op.Call:
			a = c.anomaly("a call ended before it began", op)
		case op.Expected == 0:
			if !op.unknown() && op.Err == nil {
				a = c.placeRead(op)
			}
		case op.unknown():
			if v := c.version[op.IDs[0]]; c.writer(v) == op {
				c.put(op, 2*c.ends[v], 2*c.ends[v])
			}
		case op.Err == nil:
			a = c.placeAppend(op)
		default:
			a = c.placeRefusal(op)
		}
		if a != nil {
			return a
		}
	}
	return nil
}

func (c *checker) put(op *Op, lo, hi int) {
	c.placed = append(c.placed, placed{op, lo, hi})
}

// state returns the rank of the state at version v, which op was told of.
func (c *checker) state(op *Op, v uint64) (rank int, a *anomaly) {
	if v > uint64(len(c.Final)) {
		return 0, c.anomaly(fmt.Sprintf("a call was told of version %d, and in the end there are %d", v, len(c.Final)), op)
	}
	if end := c.ends[v]; end != int(v) {
		return 0, c.anomaly(fmt.Sprintf("a call was told of version %d, which is amid a batch that ends at %d", v, end), op, c.writer(end))
	}
	return 2*int(v) + 1, nil
}

func (c *checker) placeRead(op *Op) *anomaly {
	rank, a := c.state(op, op.Page.Head)
	if a != nil {
		return a
	}
	if diff := judge.Page(op.Read, op.Page.Head, &op.Page); diff != "" {
		return c.anomaly("a page is not what was asked for: "+diff, op)
	}
	for i := range op.Page.Events {
		e := &op.Page.Events[i]
		if c.Final[e.Version-1] != e.ID {
			v := int(e.Version)
			why := fmt.Sprintf("version %d is event %q for a read, and in the end it is %q", v, e.ID, c.Final[v-1])
			return c.anomaly(why, op, c.writer(v))
		}
	}
	c.put(op, rank, rank)
	return nil
}

func (c *checker) placeAppend(op *Op) *anomaly {
	v, n := op.Appended.Version, uint64(len(op.IDs))
	if v > uint64(len(c.Final)) || n > v {
		return c.anomaly(fmt.Sprintf("%d events were appended up to version %d, and in the end there are %d", n, v, len(c.Final)), op)
	}
	for i, id := range op.IDs {
		if at := int(v-n) + i; c.Final[at] != id {
			why := fmt.Sprintf("event %q was appended as version %d, and in the end that is %q", id, at+1, c.Final[at])
			return c.anomaly(why, op, c.writers[at])
		}
	}
	last := int(v)
	if op.Appended.Replayed {
		c.put(op, 2*c.ends[last]+1, math.MaxInt)
		return nil
	}
	if !op.Expected.Matches(v - n) {
		why := fmt.Sprintf("an append that expected %s was made at version %d", op.Expected, v-n)
		return c.anomaly(why, op, c.writer(int(v-n)))
	}
	if by := c.writers[last-len(op.IDs)]; by != op {
		return c.anomaly(fmt.Sprintf("two appends made version %d", v), op, by)
	}
	c.put(op, 2*last, 2*last)
	return nil
}

func (c *checker) placeRefusal(op *Op) *anomaly {
	var conflict *store.ConflictError
	var duplicate *store.DuplicateError
	switch {
	case errors.As(op.Err, &conflict):
		return c.placeConflict(op, conflict)
	case errors.As(op.Err, &duplicate):
		return c.placeDuplicate(op, duplicate)
	}
	return nil // an argument that is not possible, or a store that is closed, tells nothing
}

func (c *checker) placeConflict(op *Op, err *store.ConflictError) *anomaly {
	rank, a := c.state(op, err.Actual)
	if a != nil {
		return a
	}
	if op.Expected.Matches(err.Actual) {
		return c.anomaly(fmt.Sprintf("a conflict with version %d, which was expected", err.Actual), op)
	}
	for _, id := range op.IDs {
		if v := c.version[id]; v > 0 && uint64(v) <= err.Actual {
			return c.anomaly(fmt.Sprintf("a conflict with version %d, although event %q was version %d then", err.Actual, id, v), op, c.writer(v))
		}
	}
	c.put(op, rank, rank)
	return nil
}

func (c *checker) placeDuplicate(op *Op, err *store.DuplicateError) *anomaly {
	lo := 0
	if err.In == c.Stream {
		v := c.version[err.EventID]
		if v == 0 || uint64(v) != err.Version || !slices.Contains(op.IDs, err.EventID) {
			return c.anomaly(fmt.Sprintf("%q was refused as a duplicate of version %d, which it is not", err.EventID, err.Version), op)
		}
		lo = 2*c.ends[v] + 1
	}
	c.put(op, lo, math.MaxInt)
	return nil
}

// compare looks for two calls that contradict each other.
func (c *checker) compare() *anomaly {
	begun := make([]*placed, 2*len(c.Final)+3) // of the calls with hi below the index, the one that began last
	for i := range c.placed {
		p := &c.placed[i]
		if p.hi < len(begun)-1 && (begun[p.hi+1] == nil || begun[p.hi+1].Call < p.Call) {
			begun[p.hi+1] = p
		}
	}
	for i := 1; i < len(begun); i++ {
		if before := begun[i-1]; before != nil && (begun[i] == nil || begun[i].Call < before.Call) {
			begun[i] = before
		}
	}
	for i := range c.placed {
		first := &c.placed[i]
		if second := begun[first.lo]; second != nil && first.over() < second.Call {
			return c.contradiction(first, second)
		}
	}
	return nil
}

// contradiction names first, which was over before second began and knows more.
func (c *checker) contradiction(first, second *placed) *anomaly {
	const most = 6
	ops := []*Op{first.Op, second.Op}
	for v := second.hi/2 + 1; v <= min(first.lo/2, len(c.Final)) && len(ops) < 2+most; v = c.ends[v] + 1 {
		if op := c.writers[v-1]; op != first.Op && op != second.Op {
			ops = append(ops, op)
		}
	}
	return c.anomaly("the first call was over before the second began, which took effect before it", ops...)
}
