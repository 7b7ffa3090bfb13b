package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/store"
)

// instance is an instance of the process that is being worked on.
type instance[S any] struct {
	id    string
	was   *note // as stored in the target
	is    *note // as it is now; never changed, only replaced
	state S
}

// input is an event for an instance.
type input[E any] struct {
	at       mark
	recorded *store.Recorded
	event    E
}

// reaction is the outcome of an input that has not been carried out yet.
type reaction[S, C any] struct {
	state S
	note  *note
	send  []Command[C]
}

// open returns the instance that n describes.
func (r *Runtime[T, E, S, C]) open(id string, n *note) (*instance[S], error) {
	i := &instance[S]{id: id, was: n, is: n}
	if n.State == nil {
		i.state = r.process.Start()
		return i, nil
	}
	state, err := r.decodeState(n.State)
	if err != nil {
		return nil, fmt.Errorf("state of instance %q: %w", id, err)
	}
	i.state = state
	return i, nil
}

// react returns the reaction of i to in. An error comes from pure code, so it would occur
// again.
func (r *Runtime[T, E, S, C]) react(i *instance[S], in *input[E]) (out reaction[S, C], err error) {
	next := *i.is
	next.At = in.at
	out = reaction[S, C]{state: i.state, note: &next}
	if at, fired := r.fired(i, in); fired {
		if at < 0 {
			return out, nil
		}
		next.Timers = slices.Delete(slices.Clone(next.Timers), at, at+1)
	}
	var asked decider.Reaction[C, E]
	over := false
	err = guard("Evolve or React", func() error {
		out.state = r.process.Evolve(i.state, in.event)
		asked = r.process.React(out.state, in.event)
		over = r.process.IsTerminal(out.state)
		return nil
	})
	if err != nil {
		return out, err
	}
	if out.send, err = r.commands(i.id, in.recorded, in.at, asked.Send); err != nil {
		return out, err
	}
	if over {
		*out.note = note{At: in.at, Over: true, Skipped: next.Skipped}
		return out, nil
	}
	if next.Timers, err = r.setTimers(next.Timers, in, asked); err != nil {
		return out, err
	}
	if next.State, err = r.encodeState(out.state); err != nil {
		return out, fmt.Errorf("encode the state: %w", err)
	}
	return out, nil
}

// fired reports whether in is the event of a timer, and returns the index of the timer in
// i. The index is -1 if the timer was stopped or restarted before its event was handled.
// Then the event does not reach the process.
func (r *Runtime[T, E, S, C]) fired(i *instance[S], in *input[E]) (at int, fired bool) {
	name, start, ok := timerOf(in.recorded)
	if !ok || in.recorded.Stream.Type != r.name {
		return -1, false
	}
	return slices.IndexFunc(i.is.Timers, func(t timer) bool { return t.Name == name && t.Start.String() == start }), true
}

// commands returns the commands that an instance sends because of cause, with their IDs.
func (r *Runtime[T, E, S, C]) commands(instance string, cause *store.Recorded, at mark, send []C) ([]Command[C], error) {
	var all []Command[C]
	seen := map[string]int{}
	for _, command := range send {
		var encoded []byte
		err := guard("the encoding of commands", func() (err error) {
			encoded, err = r.encodeMsg(command)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("encode %T: %w", command, err)
		}
		n := seen[string(encoded)]
		seen[string(encoded)]++
		all = append(all, Command[C]{
			ID: commandID(r.name, instance, at, encoded, n), Command: command, Instance: instance, Cause: cause,
		})
	}
	return all, nil
}

// setTimers returns the timers that run after a reaction.
func (r *Runtime[T, E, S, C]) setTimers(running []timer, in *input[E], asked decider.Reaction[C, E]) ([]timer, error) {
	if len(asked.Cancel) == 0 && len(asked.Later) == 0 {
		return running, nil
	}
	running = slices.Clone(running)
	stop := func(name string) {
		running = slices.DeleteFunc(running, func(t timer) bool { return t.Name == name })
	}
	for _, name := range asked.Cancel {
		stop(name)
	}
	for _, later := range asked.Later {
		t, err := r.newTimer(later, in)
		if err != nil {
			return nil, fmt.Errorf("timer %q: %w", later.Name, err)
		}
		stop(later.Name)
		running = append(running, t)
	}
	return running, nil
}

func (r *Runtime[T, E, S, C]) newTimer(later decider.Timer[E], in *input[E]) (timer, error) {
	if r.timers == nil {
		return timer{}, errors.New("the process has no codec for its timers: see WithTimers")
	}
	if later.Name == "" || len(later.Name) > store.MaxName || !utf8.ValidString(later.Name) {
		return timer{}, fmt.Errorf("its name must be 1 to %d bytes of valid UTF-8", store.MaxName)
	}
	event, err := r.encodeEvent(later.Event)
	if err != nil {
		return timer{}, err
	}
	due := in.recorded.RecordedAt.Add(max(later.After, 0))
	return timer{
		Name: later.Name, Due: due.UnixMicro(), Start: in.at,
		Cause: in.recorded.ID, Correlation: in.recorded.Meta.CorrelationID, Trace: traceOf(in.recorded.Meta.Headers),
		Type: event.Type, Schema: event.Schema, ContentType: event.ContentType, Data: event.Data,
	}, nil
}

// encodeEvent encodes an event that the process records itself.
func (r *Runtime[T, E, S, C]) encodeEvent(event E) (encoded store.Event, err error) {
	err = guard("the codec of timers", func() (err error) {
		encoded, err = r.timers.Encode(event)
		return err
	})
	if err == nil && encoded.Value != nil {
		err = errors.New("its codec keeps values and does not encode them")
	}
	return encoded, err
}

// advance applies inputs to i as far as possible: for each input it sends the commands
// and then counts the input as handled. It returns the inputs that have to wait, and why
// the first of them does. It returns the error of ctx if that ends the work.
func (r *Runtime[T, E, S, C]) advance(ctx context.Context, send Send[C], i *instance[S], inputs []input[E]) (waiting []input[E], cause error) {
	for n := range inputs {
		in := &inputs[n]
		switch {
		case i.is.Over, !in.at.after(i.is.At), skipped(i.is, in.at):
			continue // it has already taken effect, or never will
		case i.is.Failing != nil:
			return inputs[n:], nil // behind one that waits
		}
		out, err := r.step(ctx, send, i, in)
		if err != nil {
			return inputs[n:], err
		}
		i.state, i.is = out.state, out.note
	}
	return nil, nil
}

// step computes the reaction of i to in and sends its commands.
func (r *Runtime[T, E, S, C]) step(ctx context.Context, send Send[C], i *instance[S], in *input[E]) (out reaction[S, C], err error) {
	if at, fired := r.fired(i, in); send == nil || fired && at < 0 {
		return r.react(i, in) // it has reacted before, or has nothing to react to
	}
	began := r.now()
	n := Notice{Kind: Reacted, Instance: i.id, Position: in.at.Position, EventID: in.recorded.ID}
	ctx = r.begin(ctx, n, in.recorded)
	n.Kind, n.Err = ReactionFailed, errPanicked
	defer func() {
		n.Took = r.now().Sub(began)
		r.notify(ctx, n)
	}()
	if out, err = r.react(i, in); err == nil {
		err = r.sendAll(ctx, send, out.send)
	}
	if n.Err = err; err == nil {
		n.Kind, n.Commands, n.Timers = Reacted, len(out.send), len(out.note.Timers)
	}
	return out, err
}

// sendAll sends commands in order. It returns the error of the first that fails.
func (r *Runtime[T, E, S, C]) sendAll(ctx context.Context, send Send[C], commands []Command[C]) error {
	for n := range commands {
		c := &commands[n]
		err := r.sendOne(ctx, send, *c)
		if errors.Is(err, runner.ErrRejected) && r.rejected != nil {
			err = r.answer(ctx, c, err)
		}
		if ctx.Err() != nil {
			return ctx.Err() // this is not a failure of the instance
		}
		if err != nil {
			return &sendError{fmt.Errorf("send %T: %w", c.Command, err)}
		}
	}
	return nil
}

func (r *Runtime[T, E, S, C]) sendOne(ctx context.Context, send Send[C], c Command[C]) error {
	ctx, cancel := context.WithTimeout(ctx, sendIn)
	defer cancel()
	return guard("Send", func() error { return send(ctx, c) })
}

// answer handles a rejection.
func (r *Runtime[T, E, S, C]) answer(ctx context.Context, c *Command[C], rejection error) error {
	var event E
	record := false
	err := guard("WithRejected", func() error {
		event, record = r.rejected(c.Command, rejection)
		return nil
	})
	switch {
	case err != nil:
		return Permanent(err)
	case !record:
		return nil
	case r.timers == nil:
		return Permanent(errors.New("the process has no codec for the event that answers a rejection: see WithTimers"))
	}
	encoded, err := r.encodeEvent(event)
	if err != nil {
		return Permanent(err)
	}
	encoded.ID = rejectionID(c.ID)
	encoded.Meta = c.Metadata()
	encoded.Meta.Headers = traceOf(c.Cause.Meta.Headers)
	_, err = r.log.Append(ctx, store.Stream{Type: r.name, ID: c.Instance}, store.Any, []store.Event{encoded})
	return err
}

// sendError is an error of sending a command.
type sendError struct{ err error }

func (e *sendError) Error() string { return e.err.Error() }
func (e *sendError) Unwrap() error { return e.err }

// passes reports whether err may go away with a retry: it comes from Send, and is neither
// a rejection nor permanent.
func passes(err error) bool {
	return errors.As(err, new(*sendError)) && !errors.Is(err, runner.ErrRejected) && !errors.Is(err, projection.ErrPermanent)
}

// decodeInputs decodes r, and appends its inputs for the instances of the process to dst.
func (r *Runtime[T, E, S, C]) decodeInputs(dst []routed[E], scratch *[]codec.Decoded[E], recorded *store.Recorded) ([]routed[E], error) {
	in := "the codec of the source or the function of codec.From"
	err := guard(in, func() error {
		var err error
		if *scratch, err = r.source.Decode((*scratch)[:0], recorded); err != nil {
			return err
		}
		in = "Key"
		for _, d := range *scratch {
			id, ok := recorded.Stream.ID, true
			if recorded.Stream.Type != r.name {
				id, ok = r.process.Key(d.Event)
			}
			if !ok {
				continue
			}
			if err := (store.Stream{Type: r.name, ID: id}).Validate(); err != nil {
				return fmt.Errorf("the key of its instance: %w", err)
			}
			dst = append(dst, routed[E]{id, input[E]{at: mark{recorded.Position, d.Index}, recorded: recorded, event: d.Event}})
		}
		return nil
	})
	if p, ok := errors.AsType[*PanicError](err); ok {
		p.In = in
	}
	if err != nil {
		return dst, fmt.Errorf("process %s: event at position %d (%s, version %d of %s): %w",
			r.build(), recorded.Position, recorded.Type, recorded.Version, recorded.Stream, err)
	}
	return dst, nil
}

// routed is an input and the ID of its instance.
type routed[E any] struct {
	instance string
	input    input[E]
}

// fail returns the note of an instance for which an input failed at now.
func (n *note) fail(at mark, cause error, now time.Time, budget time.Duration) *note {
	next := *n
	f := failing{At: at, Since: now}
	if n.Failing != nil && n.Failing.At == at && !n.Failing.Since.IsZero() {
		f.Since, f.Attempts = n.Failing.Since, n.Failing.Attempts
	}
	f.Attempts++
	f.Cause = cause.Error()
	f.Quarantined = !passes(cause) || now.Sub(f.Since) >= budget
	next.Failing = &f
	return &next
}

// encodeState encodes a state for storage.
func (r *Runtime[T, E, S, C]) encodeState(state S) (data []byte, err error) {
	err = guard("the encoding of states", func() (err error) {
		if data, err = r.encode(state); err == nil && r.custom {
			data, err = json.Marshal(data)
		}
		return err
	})
	return data, err
}

// decodeState decodes a state from storage.
func (r *Runtime[T, E, S, C]) decodeState(data []byte) (state S, err error) {
	if r.custom {
		var inner []byte
		if err := json.Unmarshal(data, &inner); err != nil {
			return state, err
		}
		data = inner
	}
	err = guard("the decoding of states", func() (err error) {
		state, err = r.decode(data)
		return err
	})
	return state, err
}
