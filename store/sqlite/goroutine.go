package sqlite

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine returns the number of the goroutine that calls it, 0 if that cannot be
// told. Go does not offer it but in the text of a stack, which begins with
// "goroutine 12 [".
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
