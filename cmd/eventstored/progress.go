package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress shows on a terminal how many events a task has handled, once the task has
// run for more than a second.
type progress struct {
	to           io.Writer // nil if it is not a terminal
	done         int
	began, shown time.Time
}

// newProgress starts counting. It shows nothing if w is not a terminal.
func newProgress(w io.Writer) *progress {
	p := &progress{began: time.Now()}
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.to = w
		}
	}
	return p
}

// add counts n more events.
func (p *progress) add(n int) {
	p.done += n
	now := time.Now()
	if p.to == nil || now.Sub(p.began) < time.Second || now.Sub(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = now
	fmt.Fprintf(p.to, "\r%d events, %.0f a second\x1b[K", p.done, float64(p.done)/now.Sub(p.began).Seconds())
}

// end clears the line.
func (p *progress) end() {
	if !p.shown.IsZero() {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
}
