package main

import (
	"fmt"
	"io"
	"time"
)

// progress shows the progress of a long job, only on a terminal and only after a second.
// It is for one goroutine.
type progress struct {
	w     io.Writer // nil: no output
	began time.Time
	shown time.Time
	width int // of the text on the line
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{w: w, began: time.Now()}
}

// at shows that n items are done.
func (p *progress) at(n int) {
	if n%64 == 0 {
		p.show(func() string { return fmt.Sprintf("%d done, %.0f/s", n, float64(n)/time.Since(p.began).Seconds()) })
	}
}

// watch calls do, and meanwhile shows the progress that of returns.
func (p *progress) watch(what string, of func() (position, head uint64), do func() error) error {
	if p.w == nil {
		return do()
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	defer p.end()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			p.show(func() string {
				position, head := of()
				return fmt.Sprintf("%s: event %d of %d, %d%%", what, position, head, 100*position/max(head, 1))
			})
		}
	}
}

const showEvery = 100 * time.Millisecond

// show prints the result of text, if it is time for it.
func (p *progress) show(text func() string) {
	if p.w == nil {
		return
	}
	now := time.Now()
	if now.Sub(p.began) < time.Second || now.Sub(p.shown) < showEvery {
		return
	}
	p.shown = now
	p.end()
	line := text()
	p.width = len(line)
	fmt.Fprint(p.w, line)
}

// end clears the line.
func (p *progress) end() {
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%*s\r", p.width, "")
		p.width = 0
	}
}
