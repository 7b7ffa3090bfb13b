package sqlite

import (
	"bytes"
	"runtime"
	"strconv"
)

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
