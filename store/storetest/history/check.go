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

// History is a set of calls, and the final events of one stream.
type History struct {
	Stream store.Stream
	Ops    []Op     // in any order; calls for other streams are ignored
	Final  []string // the ids of the stream's events at the end, from version 1 on
}

// Check returns an error unless h is linearizable. A history is linearizable if each
// call takes effect at one moment between its beginning and its end, and a store that
// executes the calls one at a time, in the order of these moments, gives the same
// results. An append with an unknown outcome may take effect at any moment after it
// began, or never.
//
// The error names two calls that contradict each other, and shows the relevant calls
// between them. The time that Check takes is linear in the number of calls and events.
//
// A batch that is appended more than once must be the same each time, and h must
// contain every append to the stream.
//
// # Why it is enough to compare pairs of calls
//
// A stream shows its own order: Final says which append made which version, so only one
// order of the appends is possible. Give the append that made version v the rank 2v,
// and the state after it the rank 2v+1. The result of a call limits the rank at which
// the call took effect to a range from lo to hi. For an append, that is its own rank.
// For a read with Head v, or a conflict with version v, it is 2v+1. For a replay of
// events up to version v, it is 2v+1 or higher. For a duplicate, it is 2v+1 or higher,
// where v is the version that has the id. An order of the calls explains all results if
// it puts x before y whenever x.hi < y.lo, because then each call is between the right
// appends. It must also put x before y whenever x ended before y began.
//
// Both relations are interval orders: if w < x and y < z, then w < z or y < x. Suppose
// that their union has a cycle, and take a shortest one. Two consecutive edges of the
// same kind can be merged, because each order is transitive. So the kinds alternate,
// and the cycle begins w <time x <rank y <time z. Because <time is an interval order, w
// <time z or y <time x. In the first case, w <time z is a shortcut past x and y, unless
// z <rank w closes the cycle, and then w and z contradict each other. In the second
// case, x and y contradict each other, because x <rank y. So a shortest cycle has
// length two. If no two calls contradict each other, there is no cycle. Then some order
// respects both relations, and h is linearizable. Two calls contradict each other if x
// ended before y began and y.hi < x.lo. For each x it is enough to compare the call y
// with hi below x.lo that began last.
func Check(h History) error {
	c := &checker{History: h, writers: make([]*Op, len(h.Final)), ends: make([]int, len(h.Final)+1)}
	if a := c.check(); a != nil {
		return a
	}
	return nil
}

// anomaly is the reason why a history is not linearizable.
type anomaly struct {
	stream store.Stream
	why    string
	ops    []*Op // the first one or two calls contradict; the others are between them
}

// Error says what is wrong, and with which calls.
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
	writers []*Op          // the append that made each version, from version 1 on
	ends    []int          // the last version of the batch that a version is in; ends[0] is 0
	placed  []placed
}

// unknown reports whether op may or may not have happened.
func (op *Op) unknown() bool {
	return op.Return == 0 || op.Err != nil && !store.Definite(op.Err)
}

// placed is a call, and the range of ranks at which it took effect.
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

// stands reports whether the final stream has the events of op at the versions from v
// on.
func (c *checker) stands(op *Op, v int) bool {
	end := v - 1 + len(op.IDs)
	return v > 0 && end <= len(c.Final) && slices.Equal(op.IDs, c.Final[v-1:end])
}

// attribute finds the append that made each version. It prefers an acknowledged append
// to appends with an unknown outcome. Among the latter, it takes the one that began
// first, because none of them is a better choice.
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
			return c.anomaly(fmt.Sprintf("version %d is event %q, but no append can have made it", v, c.Final[v-1]), c.about(c.Final[v-1]))
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

// about returns an append that contains the event, or nil.
func (c *checker) about(id string) *Op {
	for i := range c.Ops {
		if slices.Contains(c.Ops[i].IDs, id) {
			return &c.Ops[i]
		}
	}
	return nil
}

// writer returns the append that made version v, or nil if there is none.
func (c *checker) writer(v int) *Op {
	if v < 1 || v > len(c.writers) {
		return nil
	}
	return c.writers[v-1]
}

// place finds the range of ranks at which each call took effect.
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

// state returns the rank of the state at version v, which op returned.
func (c *checker) state(op *Op, v uint64) (rank int, a *anomaly) {
	if v > uint64(len(c.Final)) {
		return 0, c.anomaly(fmt.Sprintf("a call returned version %d, but in the end there are only %d", v, len(c.Final)), op)
	}
	if end := c.ends[v]; end != int(v) {
		return 0, c.anomaly(fmt.Sprintf("a call returned version %d, which is inside a batch that ends at %d", v, end), op, c.writer(end))
	}
	return 2*int(v) + 1, nil
}

func (c *checker) placeRead(op *Op) *anomaly {
	rank, a := c.state(op, op.Page.Head)
	if a != nil {
		return a
	}
	if diff := judge.Page(op.Read, op.Page.Head, &op.Page); diff != "" {
		return c.anomaly("a page does not match its options: "+diff, op)
	}
	for i := range op.Page.Events {
		e := &op.Page.Events[i]
		if c.Final[e.Version-1] != e.ID {
			v := int(e.Version)
			why := fmt.Sprintf("version %d is event %q for a read, but in the end it is %q", v, e.ID, c.Final[v-1])
			return c.anomaly(why, op, c.writer(v))
		}
	}
	c.put(op, rank, rank)
	return nil
}

func (c *checker) placeAppend(op *Op) *anomaly {
	v, n := op.Appended.Version, uint64(len(op.IDs))
	if v > uint64(len(c.Final)) || n > v {
		return c.anomaly(fmt.Sprintf("%d events were appended up to version %d, but in the end there are %d", n, v, len(c.Final)), op)
	}
	for i, id := range op.IDs {
		if at := int(v-n) + i; c.Final[at] != id {
			why := fmt.Sprintf("event %q was appended as version %d, but in the end that is %q", id, at+1, c.Final[at])
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
	return nil // an invalid argument or a closed store tells nothing
}

func (c *checker) placeConflict(op *Op, err *store.ConflictError) *anomaly {
	rank, a := c.state(op, err.Actual)
	if a != nil {
		return a
	}
	if op.Expected.Matches(err.Actual) {
		return c.anomaly(fmt.Sprintf("a conflict with version %d, which is the expected version", err.Actual), op)
	}
	for _, id := range op.IDs {
		if v := c.version[id]; v > 0 && uint64(v) <= err.Actual {
			return c.anomaly(fmt.Sprintf("a conflict with version %d, although event %q was already version %d", err.Actual, id, v), op, c.writer(v))
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
			return c.anomaly(fmt.Sprintf("%q was refused as a duplicate of version %d, which is another event", err.EventID, err.Version), op)
		}
		lo = 2*c.ends[v] + 1
	}
	c.put(op, lo, math.MaxInt)
	return nil
}

// compare looks for two calls that contradict each other.
func (c *checker) compare() *anomaly {
	begun := make([]*placed, 2*len(c.Final)+3) // for each rank: of the calls with hi below it, the one that began last
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

// contradiction names first, which ended before second began but saw a later state.
func (c *checker) contradiction(first, second *placed) *anomaly {
	const most = 6
	ops := []*Op{first.Op, second.Op}
	for v := second.hi/2 + 1; v <= min(first.lo/2, len(c.Final)) && len(ops) < 2+most; v = c.ends[v] + 1 {
		if op := c.writers[v-1]; op != first.Op && op != second.Op {
			ops = append(ops, op)
		}
	}
	return c.anomaly("the first call ended before the second began, but took effect after it", ops...)
}
