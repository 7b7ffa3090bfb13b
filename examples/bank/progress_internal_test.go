package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestProgress checks that a long job shows its progress after a second, and that the
// line is cleared at the end.
func TestProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := &progress{w: &out, began: time.Now()}
		position := uint64(0)
		of := func() (uint64, uint64) {
			position += 100
			return position, 1000
		}
		long := func() error { time.Sleep(1250 * time.Millisecond); return nil }
		if err := p.watch("statements", of, long); err != nil {
			t.Fatal(err)
		}
		const (
			first  = "statements: event 100 of 1000, 10%"
			second = "statements: event 200 of 1000, 20%"
			third  = "statements: event 300 of 1000, 30%"
		)
		gone := "\r" + strings.Repeat(" ", len(first)) + "\r"
		if got, want := out.String(), first+gone+second+gone+third+gone; got != want {
			t.Errorf("shown: %q, want %q", got, want)
		}
	})
}
