package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// read prints a stream.
func read(ctx context.Context, args []string, e env) error {
	var from source
	f := flags(e, "read", "TYPE/ID")
	from.add(f)
	first := f.Uint64("from", 0, "begin with this `version`; 0 is the first, or with -backward the last one")
	limit := f.Int("limit", 0, "print at most `N` events; 0 is all")
	backward := f.Bool("backward", false, "print the newest first")
	operands, err := parseFlags(f, args, 1)
	if err != nil {
		return err
	}
	stream, err := parseStream(operands[0])
	if err != nil {
		return err
	}
	if *limit < 0 {
		return fmt.Errorf("%w: -limit %d is negative", errUsage, *limit)
	}
	return from.with(ctx, func(st open.Backend) error {
		out, left := newLineWriter(e.stdout), *limit
		o := store.ReadOptions{From: *first, Backward: *backward}
		for {
			o.Limit = left
			page, err := st.Read(ctx, stream, o)
			if err != nil {
				return err
			}
			if err := out.write(page.Events); err != nil {
				return err
			}
			left -= len(page.Events)
			if page.End || len(page.Events) == 0 || *limit > 0 && left <= 0 {
				return nil
			}
			left, o.From = max(left, 0), page.Next
		}
	})
}

// tail prints the last events of the log, and then those that come.
func tail(ctx context.Context, args []string, e env) error {
	var from source
	f := flags(e, "tail", "")
	from.add(f)
	last := f.Int("n", 10, "begin with the last `N` events")
	follow := f.Bool("f", false, "go on with each new one, until interrupted")
	if _, err := parseFlags(f, args, 0); err != nil {
		return err
	}
	if *last < 0 {
		return fmt.Errorf("%w: -n %d is negative", errUsage, *last)
	}
	return from.with(ctx, func(st open.Backend) error {
		out := newLineWriter(e.stdout)
		head, err := st.Head(ctx)
		if err != nil {
			return err
		}
		events, err := lastEvents(ctx, st, head, *last)
		if err != nil {
			return err
		}
		if err := out.write(events); err != nil || !*follow {
			return err
		}
		for page, err := range st.Subscribe(ctx, store.LogOptions{From: head + 1}) {
			if err != nil && ctx.Err() != nil {
				return nil // interrupted
			}
			if err != nil {
				return err
			}
			if err := out.write(page.Events); err != nil {
				return err
			}
		}
		return nil
	})
}

// lastEvents returns the last n events up to position head, the oldest first.
func lastEvents(ctx context.Context, st store.Log, head uint64, n int) ([]store.Recorded, error) {
	var events []store.Recorded
	o := store.LogOptions{From: head, Backward: true}
	for head > 0 && len(events) < n {
		o.Limit = n - len(events)
		page, err := st.ReadAll(ctx, o)
		if err != nil {
			return nil, err
		}
		events = append(events, page.Events...)
		if page.End || len(page.Events) == 0 {
			break
		}
		o.From = page.Next
	}
	slices.Reverse(events)
	return events, nil
}

// appendEvents appends the events of standard input to a stream, all or none.
func appendEvents(ctx context.Context, args []string, e env) error {
	var to source
	f := flags(e, "append", "TYPE/ID")
	to.add(f)
	expect := f.String("expect", "any", "append only if the stream is at this `version`: a number, none, exists or any")
	operands, err := parseFlags(f, args, 1)
	if err != nil {
		return err
	}
	stream, err := parseStream(operands[0])
	if err != nil {
		return err
	}
	expected, err := parseExpected(*expect)
	if err != nil {
		return err
	}
	var events []store.Event
	err = readLines(e.stdin, func(_ int, l *line) error {
		event, err := l.event()
		if event.ID == "" {
			event.ID = store.NewID()
		}
		events = append(events, event)
		return err
	})
	if err != nil {
		return err
	}
	return to.with(ctx, func(st open.Backend) error {
		appended, err := st.Append(ctx, stream, expected, events)
		if err != nil {
			return err
		}
		return json.NewEncoder(e.stdout).Encode(struct {
			Version  uint64 `json:"version"`
			Position uint64 `json:"position"`
			Replayed bool   `json:"replayed,omitempty"`
		}(appended))
	})
}

// parseExpected returns the expected version that text says.
func parseExpected(text string) (store.Expected, error) {
	switch text {
	case "none":
		return store.NoStream, nil
	case "exists":
		return store.Exists, nil
	case "any":
		return store.Any, nil
	}
	version, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: -expect %q is neither a version nor none, exists or any", errUsage, text)
	}
	if version == 0 {
		return store.NoStream, nil
	}
	return store.Exactly(version), nil
}

// scan calls use with every event of the log, in order, and shows how it goes.
func scan(ctx context.Context, st store.Log, e env, use func([]store.Recorded) error) error {
	shown := newProgress(e.stderr, "events")
	defer shown.end()
	o := store.LogOptions{}
	for {
		page, err := st.ReadAll(ctx, o)
		if err != nil {
			return err
		}
		if err := use(page.Events); err != nil {
			return err
		}
		shown.add(len(page.Events))
		if page.End {
			return nil
		}
		o.From = page.Next
	}
}

// streams prints a line for each stream.
func streams(ctx context.Context, args []string, e env) error {
	var from source
	f := flags(e, "streams", "")
	from.add(f)
	if _, err := parseFlags(f, args, 0); err != nil {
		return err
	}
	return from.with(ctx, func(st open.Backend) error {
		last := map[store.Stream]store.Recorded{}
		err := scan(ctx, st, e, func(events []store.Recorded) error {
			for i := range events {
				r := &events[i]
				last[r.Stream] = store.Recorded{Version: r.Version, Position: r.Position, RecordedAt: r.RecordedAt}
			}
			return nil
		})
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "STREAM\tVERSION\tPOSITION\tLAST EVENT")
		for _, s := range slices.SortedFunc(maps.Keys(last), func(a, b store.Stream) int {
			return slices.Compare([]string{a.Type, a.ID}, []string{b.Type, b.ID})
		}) {
			r := last[s]
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", s, r.Version, r.Position, r.RecordedAt.Format(time.RFC3339))
		}
		return w.Flush()
	})
}

// stats prints how much there is of what.
func stats(ctx context.Context, args []string, e env) error {
	var from source
	f := flags(e, "stats", "")
	from.add(f)
	if _, err := parseFlags(f, args, 0); err != nil {
		return err
	}
	return from.with(ctx, func(st open.Backend) error {
		c := counts{streams: map[store.Stream]struct{}{}, types: map[string]int{}}
		err := scan(ctx, st, e, func(events []store.Recorded) error {
			for i := range events {
				c.add(&events[i])
			}
			return nil
		})
		if err != nil {
			return err
		}
		return c.print(e.stdout)
	})
}

// counts is what stats prints.
type counts struct {
	events, bytes int
	head          uint64
	first, last   time.Time
	streams       map[store.Stream]struct{}
	types         map[string]int
}

func (c *counts) add(r *store.Recorded) {
	if c.events == 0 {
		c.first = r.RecordedAt
	}
	c.events, c.bytes, c.head, c.last = c.events+1, c.bytes+len(r.Data), r.Position, r.RecordedAt
	c.streams[r.Stream] = struct{}{}
	c.types[r.Stream.Type+" "+r.Type]++
}

func (c *counts) print(to io.Writer) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "events\t%d\nstreams\t%d\nbytes of data\t%d\nlast position\t%d\n", c.events, len(c.streams), c.bytes, c.head)
	if c.events > 0 {
		fmt.Fprintf(w, "first event\t%s\nlast event\t%s\n", c.first.Format(time.RFC3339), c.last.Format(time.RFC3339))
	}
	for _, name := range slices.Sorted(maps.Keys(c.types)) {
		fmt.Fprintf(w, "%s\t%d\n", name, c.types[name])
	}
	return w.Flush()
}

// export prints the log.
func export(ctx context.Context, args []string, e env) error {
	var from source
	f := flags(e, "export", "")
	from.add(f)
	if _, err := parseFlags(f, args, 0); err != nil {
		return err
	}
	return from.with(ctx, func(st open.Backend) error {
		return scan(ctx, st, e, newLineWriter(e.stdout).write)
	})
}

// importBatch is how many events of one stream, next to each other, are appended
// at once.
const importBatch = 500

// importEvents appends what export printed, under the same ids and versions. What
// is there already is passed over, so it can be done again after it was stopped.
func importEvents(ctx context.Context, args []string, e env) error {
	var to source
	f := flags(e, "import", "")
	to.add(f)
	if _, err := parseFlags(f, args, 0); err != nil {
		return err
	}
	return to.with(ctx, func(st open.Backend) error {
		shown := newProgress(e.stderr, "events")
		defer shown.end()
		b := importing{st: st, shown: shown}
		err := readLines(e.stdin, func(_ int, l *line) error { return b.add(ctx, l) })
		if err == nil {
			err = b.flush(ctx)
		}
		fmt.Fprintf(e.stderr, "imported %d events, %d were there before\n", b.appended, b.replayed)
		return err
	})
}

// importing is the events of one stream that are to be appended next.
type importing struct {
	st       store.Store
	shown    *progress
	stream   store.Stream
	first    uint64 // the version of the first of events
	events   []store.Event
	appended int
	replayed int
}

func (b *importing) add(ctx context.Context, l *line) error {
	event, err := l.event()
	if err != nil {
		return err
	}
	if l.Version == 0 || l.ID == "" {
		return errors.New("has no version or no id: it was not exported")
	}
	if l.stream() != b.stream || l.Version != b.first+uint64(len(b.events)) || len(b.events) == importBatch {
		if err := b.flush(ctx); err != nil {
			return err
		}
		b.stream, b.first = l.stream(), l.Version
	}
	b.events = append(b.events, event)
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
		return b.oneByOne(ctx) // some are there, and the rest is to follow
	}
	if err != nil {
		return err
	}
	b.count(appended, len(b.events))
	b.events = b.events[:0]
	return nil
}

// oneByOne appends the events, each by itself.
func (b *importing) oneByOne(ctx context.Context) error {
	events, first := b.events, b.first
	for i := range events {
		b.events, b.first = events[i:i+1], first+uint64(i)
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.events = events[:0]
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
