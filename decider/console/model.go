package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

// Model describes the streams of a type. Type, Decider and Codec must be set.
type Model[C, S, E any] struct {
	// Type is the type of the streams, such as "Account".
	Type string
	// Decider computes states and decisions. It is called many times, so it must be pure.
	// If it panics, or takes longer than ten seconds, the page says so.
	Decider decider.Decider[C, S, E]
	// Codec reads the events.
	Codec codec.Codec[E]
	// Commands reads commands that people enter: their names, and their fields as JSON.
	// If it is nil, no commands can be tried.
	Commands *codec.Named[C]
	// Caused returns the command that led to the events of batch, or false if it is not
	// known, as for props.Replay: a batch is a run of events of a stream with the same
	// causation id. Events without one are batches of their own. If it is nil, Candidates
	// cannot be replayed.
	Caused func(batch []store.Recorded) (C, bool)
	// Candidates are other rules, by name, to find out what they would have decided.
	Candidates map[string]decider.Decider[C, S, E]
}

// Type describes the streams of one type. [Aggregate] makes one.
type Type struct{ model model }

// Aggregate returns the Type of m. It panics if Type is empty, or if Decide, Evolve or
// the codec is missing.
func Aggregate[C, S, E any](m Model[C, S, E]) Type {
	if m.Type == "" || m.Decider.Decide == nil || m.Decider.Evolve == nil || m.Codec == nil {
		panic("console: Aggregate: Type, Decide, Evolve and Codec must be set")
	}
	return Type{aggregate[C, S, E]{m}}
}

// model is a Model without its type parameters.
type model interface {
	name() string
	commands() []sample
	candidates() []string
	// at returns what a stream was at a version. An error comes from the store. If a
	// state cannot be computed, the moment says why.
	at(ctx context.Context, src *source, s store.Stream, version uint64) (moment, error)
	try(ctx context.Context, src *source, s store.Stream, version uint64, wishes []wish) (trial, error)
	replay(ctx context.Context, src *source, j *job) error
}

// sample is a command that can be tried, with its fields as JSON.
type sample struct {
	Name string `json:"name"`
	JSON string `json:"json"`
}

// moment is the state of a stream at a version, and right before it.
type moment struct {
	before, state show.Node
	over          bool   // terminal
	problem       string // why the state does not belong to the version
}

type aggregate[C, S, E any] struct{ m Model[C, S, E] }

func (a aggregate[C, S, E]) name() string { return a.m.Type }

func (a aggregate[C, S, E]) candidates() []string {
	if a.m.Caused == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(a.m.Candidates))
}

func (a aggregate[C, S, E]) commands() []sample {
	if a.m.Commands == nil {
		return nil
	}
	var all []sample
	for _, name := range a.m.Commands.Names() {
		s := sample{Name: name, JSON: "{}"}
		if cmd, err := a.command(wish{Name: name, JSON: "{}"}); err == nil {
			if data, err := json.Marshal(cmd); err == nil {
				s.JSON = string(data)
			}
		}
		all = append(all, s)
	}
	return all
}

// command returns the command that was entered.
func (a aggregate[C, S, E]) command(w wish) (cmd C, err error) {
	defer recovered("reading the command", &err)
	cmds, err := a.m.Commands.Strict().Decode(nil, []store.Recorded{{
		Event: store.Event{Type: w.Name, ContentType: "application/json", Data: []byte(w.JSON)},
	}})
	if err != nil {
		return cmd, err
	}
	if len(cmds) != 1 {
		return cmd, fmt.Errorf("%q is %d commands", w.Name, len(cmds))
	}
	return cmds[0], nil
}

// recovered converts a panic of user code to an error.
func recovered(doing string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s panicked: %v", doing, r)
	}
}

// folding folds a stream, one event after the other.
type folding[C, S, E any] struct {
	decider decider.Decider[C, S, E]
	codec   codec.Codec[E]
	state   S
	scratch []E
}

func (a aggregate[C, S, E]) start(d decider.Decider[C, S, E]) (f *folding[C, S, E], err error) {
	f = &folding[C, S, E]{decider: d, codec: a.m.Codec}
	defer recovered("Initial", &err)
	f.state = d.Start()
	return f, nil
}

// add folds an event.
func (f *folding[C, S, E]) add(e *store.Recorded) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s of version %d panicked: %v", "Evolve", e.Version, r)
		}
	}()
	return f.page([]store.Recorded{*e})
}

// addAll folds events. If an event cannot be folded, the state is the one before it.
func (f *folding[C, S, E]) addAll(events []store.Recorded) error {
	was := f.state
	if f.tried(events) == nil {
		return nil
	}
	f.state = was // one by one, to find out which it is
	for i := range events {
		if err := f.add(&events[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *folding[C, S, E]) tried(events []store.Recorded) (err error) {
	defer recovered("Evolve", &err)
	return f.page(events)
}

func (f *folding[C, S, E]) page(events []store.Recorded) (err error) {
	if f.scratch, err = f.codec.Decode(f.scratch[:0], events); err != nil {
		return err
	}
	for _, event := range f.scratch {
		f.state = f.decider.Evolve(f.state, event)
	}
	return nil
}

// errFolded ends a walk over a stream.
var errFolded = errors.New("folded")

// pages calls each for the pages of a stream up to a version.
func pages(ctx context.Context, src *source, s store.Stream, version uint64, each func([]store.Recorded) error) error {
	for o := (store.ReadOptions{ReadOnly: src.redact == nil && !src.hide}); ; {
		if left := version - max(o.From, 1) + 1; left < store.DefaultLimit {
			o.Limit = int(left)
		}
		if version < max(o.From, 1) {
			return nil
		}
		page, err := src.read(ctx, s, o)
		if err != nil {
			return err
		}
		if err := each(page.Events); err != nil || page.End {
			return err
		}
		o.From = page.Next
	}
}

// walk calls each for the events of a stream up to a version.
func walk(ctx context.Context, src *source, s store.Stream, version uint64, each func(*store.Recorded) error) error {
	return pages(ctx, src, s, version, func(events []store.Recorded) error { return doEach(events, each) })
}

// upTo returns the folding of a stream up to a version, or up to the event that cannot be
// folded, with the problem. Just before that version it calls halt, if it is not nil.
func (a aggregate[C, S, E]) upTo(
	ctx context.Context, src *source, s store.Stream, version uint64, halt func(state S),
) (f *folding[C, S, E], problem string, err error) {
	f, failed := a.start(a.m.Decider)
	if failed == nil {
		err = pages(ctx, src, s, version, func(events []store.Recorded) error {
			var last []store.Recorded
			if n := len(events) - 1; n >= 0 && events[n].Version == version {
				events, last = events[:n], events[n:]
			}
			if failed = f.addAll(events); failed == nil && last != nil {
				if halt != nil {
					halt(f.state)
				}
				failed = f.add(&last[0])
			}
			if failed != nil {
				return errFolded
			}
			return nil
		})
	}
	if failed != nil {
		return f, failed.Error(), nil //nolint:nilerr // it is reported as the problem
	}
	return f, "", err
}

func (a aggregate[C, S, E]) at(ctx context.Context, src *source, s store.Stream, version uint64) (m moment, err error) {
	defer recovered("showing the state", &err)
	halted := false
	f, problem, err := a.upTo(ctx, src, s, version, func(state S) { m.before, halted = show.Tree(state), true })
	if err != nil {
		return m, err
	}
	m.state, m.problem = show.Tree(f.state), problem
	if !halted {
		m.before = m.state
	}
	if problem == "" {
		m.over = f.decider.IsTerminal(f.state)
	}
	return m, nil
}

// fold runs do, which computes a state, when a slot is free.
func (c *Console) fold(ctx context.Context, do func(context.Context) error) error {
	select {
	case c.folds <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	return within(ctx, c.folds, do)
}

// ask runs do, which calls user code for decisions, unless too many calls are running.
func (c *Console) ask(ctx context.Context, do func(context.Context) error) error {
	select {
	case c.asks <- struct{}{}:
	default:
		return &pageError{http.StatusServiceUnavailable, "Busy", "Too many questions are running. Try again in a moment."}
	}
	return within(ctx, c.asks, do)
}

// within runs do for at most askWithin. If do has not returned by then, it keeps its
// slot.
func within(ctx context.Context, place <-chan struct{}, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	done := make(chan error, 1)
	go func() {
		defer func() { cancel(); <-place }()
		var err error
		func() {
			defer recovered("code of this program", &err)
			err = do(ctx)
		}()
		done <- err
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done: // which may have ended ctx itself
		default:
			err = ctx.Err()
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return errSlow
	}
	return err
}

var errSlow = &pageError{http.StatusGatewayTimeout, "Too slow", "It took longer than ten seconds, so the console stopped waiting."}
