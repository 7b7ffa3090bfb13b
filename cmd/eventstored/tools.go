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
	"github.com/evolvego/evolve/store/jsonl"
	"github.com/evolvego/evolve/store/open"
)

// read prints a stream.
func read(ctx context.Context, args []string, e env) error {
	var from source
	f := flags("read")
	from.add(f)
	first := f.Uint64("from", 0, "start at this `version`; 0 is the first, or with -backward the last")
	limit := f.Int("limit", 0, "print at most `N` events; 0 prints all")
	backward := f.Bool("backward", false, "print the newest event first")
	operands, err := parseFlags(e, f, args, 1, 1)
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
	return from.reading(ctx, func(st open.Backend) error {
		out, left := jsonl.NewWriter(e.stdout), *limit
		o := store.ReadOptions{From: *first, Backward: *backward}
		for {
			o.Limit = left
			page, err := st.Read(ctx, stream, o)
			if err != nil {
				return err
			}
			if err := out.Write(page.Events); err != nil {
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

// tail prints the last events of the log, and then new ones as they come.
func tail(ctx context.Context, args []string, e env) error {
	var from source
	f := flags("tail")
	from.add(f)
	last := f.Int("n", 10, "start with the last `N` events")
	follow := f.Bool("f", false, "then print new events as they come, until interrupted")
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	if *last < 0 {
		return fmt.Errorf("%w: -n %d is negative", errUsage, *last)
	}
	return from.reading(ctx, func(st open.Backend) error {
		out := jsonl.NewWriter(e.stdout)
		head, err := st.Head(ctx)
		if err != nil {
			return err
		}
		events, err := lastEvents(ctx, st, head, *last)
		if err != nil {
			return err
		}
		if err := out.Write(events); err != nil || !*follow {
			return err
		}
		for page, err := range st.Subscribe(ctx, store.LogOptions{From: head + 1}) {
			if err != nil && ctx.Err() != nil {
				return nil // interrupted
			}
			if err != nil {
				return err
			}
			if err := out.Write(page.Events); err != nil {
				return err
			}
		}
		return nil
	})
}

// lastEvents returns the last n events up to position head, oldest first.
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

// appendEvents appends the events on standard input to a stream, all or none.
func appendEvents(ctx context.Context, args []string, e env) error {
	var to source
	f := flags("append")
	to.add(f)
	expect := f.String("expect", "any", "append only if the stream is at this `version`: a number, none (it must not exist), exists or any")
	operands, err := parseFlags(e, f, args, 1, 1)
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
	for l, err := range jsonl.Read(e.stdin) {
		if err != nil {
			return err
		}
		event := eventOf(l)
		if event.ID == "" {
			event.ID = store.NewID()
		}
		events = append(events, event)
	}
	return to.writing(ctx, func(st open.Backend) error {
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

// parseExpected parses an expected version.
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

// scan calls use with every event of the log, in order, and shows its progress.
func scan(ctx context.Context, st store.Log, e env, use func([]store.Recorded) error) error {
	shown := newProgress(e.stderr)
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
	f := flags("streams")
	from.add(f)
	var o store.StreamsOptions
	f.StringVar(&o.Type, "type", "", "only streams of this `type`")
	f.StringVar(&o.IDPrefix, "prefix", "", "only streams whose ids begin with this `text`")
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return from.reading(ctx, func(st open.Backend) error {
		w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "STREAM\tVERSION\tPOSITION\tLAST EVENT")
		err := eachStream(ctx, st, e, o, func(s store.StreamInfo) {
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", s.Stream, s.Version, s.Position, s.RecordedAt.Format(time.RFC3339))
		})
		return errors.Join(err, w.Flush())
	})
}

// eachStream calls do with each stream that o selects, in order. If a store cannot list
// its streams, it reads the whole log.
func eachStream(ctx context.Context, st open.Backend, e env, o store.StreamsOptions, do func(store.StreamInfo)) error {
	finder, ok := st.(store.Finder)
	for ok {
		page, err := finder.ListStreams(ctx, o)
		if err != nil {
			return err
		}
		for _, s := range page.Streams {
			do(s)
			o.After = s.Stream
		}
		if page.End {
			return nil
		}
	}
	last := map[store.Stream]store.StreamInfo{}
	err := scan(ctx, st, e, func(events []store.Recorded) error {
		for i := range events {
			if r := &events[i]; o.Matches(r.Stream) {
				last[r.Stream] = store.StreamInfo{Stream: r.Stream, Version: r.Version, Position: r.Position, EventType: r.Type, RecordedAt: r.RecordedAt}
			}
		}
		return nil
	})
	for _, s := range slices.SortedFunc(maps.Keys(last), store.Stream.Compare) {
		do(last[s])
	}
	return err
}

// findEvent prints the event with an id.
func findEvent(ctx context.Context, args []string, e env) error {
	var from source
	f := flags("find")
	from.add(f)
	operands, err := parseFlags(e, f, args, 1, 1)
	if err != nil {
		return err
	}
	id := operands[0]
	if err := store.ValidateEventID(id); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	return from.reading(ctx, func(st open.Backend) error {
		r, found, err := findIn(ctx, st, e, id)
		switch {
		case err != nil:
			return err
		case !found:
			return fmt.Errorf("no event of this tenant has the id %q", id)
		}
		return jsonl.NewWriter(e.stdout).Write([]store.Recorded{r})
	})
}

// findIn returns the event with this id. If a store cannot find events by id, it reads
// the whole log.
func findIn(ctx context.Context, st open.Backend, e env, id string) (r store.Recorded, found bool, err error) {
	if finder, ok := st.(store.Finder); ok {
		return finder.FindEvent(ctx, id)
	}
	err = scan(ctx, st, e, func(events []store.Recorded) error {
		if i := slices.IndexFunc(events, func(r store.Recorded) bool { return r.ID == id }); i >= 0 {
			r, found = events[i], true
		}
		return nil
	})
	return r, found, err
}

// stats prints the numbers of events, streams and events of each type.
func stats(ctx context.Context, args []string, e env) error {
	var from source
	f := flags("stats")
	from.add(f)
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	return from.reading(ctx, func(st open.Backend) error {
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

// counts is the output of stats.
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
