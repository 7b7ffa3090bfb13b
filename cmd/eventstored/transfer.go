package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/jsonl"
	"github.com/evolvego/evolve/store/open"
)

// export prints the log.
func export(ctx context.Context, args []string, e env) error {
	var from source
	f := flags("export")
	from.add(f)
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	return from.reading(ctx, func(st open.Backend) error {
		return scan(ctx, st, e, jsonl.NewWriter(e.stdout).Write)
	})
}

const (
	// importBatch is how many events of one stream import appends at once, and
	// importBytes how many bytes of events, unless a single event is larger. Servers of
	// eventstore.v1 accept requests of up to 4 MiB.
	importBatch = 500
	importBytes = 2 << 20
)

// importEvents appends the output of export, with the same ids and versions. It skips
// events that exist already, so you can repeat an import that was interrupted.
func importEvents(ctx context.Context, args []string, e env) error {
	var to source
	f := flags("import")
	to.add(f)
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	return to.writing(ctx, func(st open.Backend) error {
		shown := newProgress(e.stderr)
		defer shown.end()
		b := importing{st: st, shown: shown}
		err := b.addAll(ctx, e.stdin)
		if err == nil {
			err = b.flush(ctx)
		}
		fmt.Fprintf(e.stderr, "imported %d events, %d were already there\n", b.appended, b.replayed)
		return err
	})
}

// importing holds the events of one stream that are appended next.
type importing struct {
	st       store.Store
	shown    *progress
	stream   store.Stream
	first    uint64 // the version of the first of events
	events   []store.Event
	lines    []int // the lines of events
	bytes    int   // the bytes of events
	appended int
	replayed int
}

// addAll adds the lines of r.
func (b *importing) addAll(ctx context.Context, r io.Reader) error {
	for l, err := range jsonl.Read(r) {
		if err == nil {
			err = b.add(ctx, l)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *importing) add(ctx context.Context, l *jsonl.Line) error {
	if l.Version == 0 || l.ID == "" {
		return fmt.Errorf("line %d: has no version or no id: it was not exported", l.Number)
	}
	event, stream := eventOf(l), store.Stream{Type: l.StreamType, ID: l.StreamID}
	size := len(event.Data) + store.MaxName
	for key, value := range event.Meta.Headers {
		size += len(key) + len(value)
	}
	if stream != b.stream || l.Version != b.first+uint64(len(b.events)) || len(b.events) == importBatch || b.bytes+size > importBytes {
		if err := b.flush(ctx); err != nil {
			return err
		}
		b.stream, b.first = stream, l.Version
	}
	b.events, b.lines, b.bytes = append(b.events, event), append(b.lines, l.Number), b.bytes+size
	return nil
}

// flush appends the events.
func (b *importing) flush(ctx context.Context) error {
	if len(b.events) == 0 {
		return nil
	}
	expected := store.NoStream
	if b.first > 1 {
		expected = store.Exactly(b.first - 1)
	}
	appended, err := b.st.Append(ctx, b.stream, expected, b.events)
	if errors.Is(err, store.ErrDuplicate) && len(b.events) > 1 {
		return b.oneByOne(ctx) // some exist already, and the rest follows
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b.where(), err)
	}
	b.count(appended, len(b.events))
	b.events, b.lines, b.bytes = b.events[:0], b.lines[:0], 0
	return nil
}

// where returns the numbers of the lines of the events.
func (b *importing) where() string {
	first, last := b.lines[0], b.lines[len(b.lines)-1]
	if first == last {
		return fmt.Sprintf("line %d", first)
	}
	return fmt.Sprintf("lines %d to %d", first, last)
}

// oneByOne appends the events one at a time.
func (b *importing) oneByOne(ctx context.Context) error {
	events, lines, first := b.events, b.lines, b.first
	for i := range events {
		b.events, b.lines, b.first = events[i:i+1], lines[i:i+1], first+uint64(i)
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.events, b.lines, b.bytes = events[:0], lines[:0], 0
	return nil
}

func (b *importing) count(a store.Appended, n int) {
	if a.Replayed {
		b.replayed += n
	} else {
		b.appended += n
	}
	b.shown.add(n)
}
