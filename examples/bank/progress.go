package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows how far a long job is, on a terminal only, from its second second
// on. It is for one goroutine.
type progress struct {
	w     io.Writer // nil: nobody looks
	began time.Time
	shown time.Time
	width int // of what is on the line
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{w: w, began: time.Now()}
}

// at shows that n are done.
func (p *progress) at(n int) {
	if p.w == nil || n%64 != 0 {
		return
	}
	now := time.Now()
	if now.Sub(p.began) < time.Second || now.Sub(p.shown) < 100*time.Millisecond {
		return
	}
	p.shown = now
	p.end()
	text := fmt.Sprintf("%d done, %.0f/s", n, float64(n)/now.Sub(p.began).Seconds())
	p.width = len(text)
	fmt.Fprint(p.w, text)
}

// end clears the line.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
		p.width = 0
	}
}
