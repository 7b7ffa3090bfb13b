// Package logged keeps what tests log, as lines of text.
package logged

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Lines is a handler that keeps each record as a line such as "WARN run failed
// projection=told@1". The zero value is empty and ready to use, with any number of
// goroutines. It has no WithAttrs and no WithGroup, which panic.
type Lines struct {
	slog.Handler
	mu    sync.Mutex
	lines []string // guarded by mu
}

// Enabled reports that every level is kept.
func (l *Lines) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps r.
func (l *Lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return nil
}

// About returns the lines that contain text, in the order in which they were logged.
func (l *Lines) About(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.lines), func(line string) bool { return !strings.Contains(line, text) })
}
