package memory

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"

	"github.com/evolvego/evolve/store"
)

// ErrInUpdate is the error of a write to a store that is called from the function of an
// [Store.Update] of the same tenant. Such a write would wait for the Update to end, and
// so for itself. It matches [store.ErrInvalid]: nothing was written. Use the methods of
// the [Tx], or write after the Update.
var ErrInUpdate = fmt.Errorf("%w: memory: a write to the store from within its own Update would wait for itself: use the methods of the Tx, or write after the Update",
	store.ErrInvalid)

// goroutine returns the number of the calling goroutine, or 0 if it cannot be found. Go
// exposes the number only in the text of a stack trace, which begins with "goroutine 12
// [".
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

// inUpdate reports whether the calling goroutine is inside an Update. It is called only
// before a wait.
func (m *Store) inUpdate() bool {
	g := m.updating.Load()
	return g != 0 && g == goroutine()
}
