package memory

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"

	"github.com/evolvego/evolve/store"
)

// ErrInUpdate is what a write of a store returns within the function of an [Store.Update]
// of the same tenant, where it would wait for that Update to end, and so for itself. It
// matches [store.ErrInvalid]: nothing was written. Use the methods of the [Tx], or write
// after the Update.
var ErrInUpdate = fmt.Errorf("%w: memory: a write of the store within its own Update would wait for itself: use the methods of the Tx, or write after the Update",
	store.ErrInvalid)

// goroutine returns the number of the goroutine that calls it, 0 if that cannot be told.
// Go does not offer it but in the text of a stack, which begins with "goroutine 12 [".
func goroutine() uint64 {
	var text [48]byte
	rest, found := bytes.CutPrefix(text[:runtime.Stack(text[:], false)], []byte("goroutine "))
	number, _, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(number), 10, 64)
	if !found || err != nil {
		return 0
	}
	return n
}

// inUpdate reports whether the goroutine that asks is that of an Update. It is asked only
// by those who would have to wait.
func (m *Store) inUpdate() bool {
	g := m.updating.Load()
	return g != 0 && g == goroutine()
}
