package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/examples/bank/transfer"
	"github.com/evolvego/evolve/store"
)

// courier runs the transfers: it reads the log, and sends to the accounts what the
// process asks for.
//
// It can stop at any moment and start again. The states of the transfers are folded
// from the beginning of the log; commands are sent for events after the checkpoint.
// The checkpoint is saved after the commands are sent, so they may be sent again:
// each has an id that follows from the transfer and the event, so it happens once.
type courier struct {
	bank      *bank
	transfers map[string]transfer.State // that are not over
	saved     store.Checkpoint

	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed when handled grows or err is set
	handled uint64        // guarded by mu; the position up to which all is done
	err     error         // guarded by mu; why run returned
}

// consumer is the name of the courier's checkpoint.
const consumer = "transfers"

func newCourier(b *bank) *courier {
	return &courier{bank: b, transfers: map[string]transfer.State{}, changed: make(chan struct{})}
}

// run carries transfers until ctx ends, and returns why it stopped.
func (c *courier) run(ctx context.Context) error {
	err := c.carry(ctx)
	c.tell(0, err)
	return err
}

func (c *courier) carry(ctx context.Context) error {
	var err error
	if c.saved, err = c.bank.marks.LoadCheckpoint(ctx, consumer); err != nil {
		return fmt.Errorf("load the checkpoint of %s: %w", consumer, err)
	}
	if _, err := store.Resume(ctx, c.bank.store, c.saved); err != nil { // it is for another log
		return fmt.Errorf("go on with %s: %w", consumer, err)
	}
	o := store.LogOptions{Filter: store.Filter{StreamTypes: []string{streamType}}}
	for page, err := range c.bank.store.Subscribe(ctx, o) {
		if err != nil {
			return err
		}
		events, err := c.bank.decode(page)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := c.handle(ctx, e); err != nil {
				return err
			}
		}
		if len(events) > 0 {
			if err := c.save(ctx, events[len(events)-1]); err != nil {
				return err
			}
		}
		c.tell(page.Next-1, nil)
	}
	return nil
}

// handle takes one event of an account to the transfer that it belongs to.
func (c *courier) handle(ctx context.Context, r recorded) error {
	process := transfer.Process()
	event := transfer.Event{Account: r.Account, Event: r.Event}
	key, ok := process.Key(event)
	if !ok {
		return nil
	}
	state := process.Evolve(c.transfers[key], event)
	c.transfers[key] = state
	if process.IsTerminal(state) {
		delete(c.transfers, key)
	}
	if r.Position <= c.saved.Position {
		return nil // its commands were sent before
	}
	for i, cmd := range process.React(state, event).Send {
		id := fmt.Sprintf("%s/%s/%d/%d", consumer, key, r.Position, i)
		_, err := c.bank.accounts.Handle(ctx, cmd.Account, cmd.Command, runner.CommandID(id), runner.Metadata(store.Metadata{CausationID: r.ID}))
		if err != nil {
			return fmt.Errorf("transfer %s: %T for %s: %w", key, cmd.Command, cmd.Account, err)
		}
	}
	return nil
}

// save moves the checkpoint to the event r, if it is not beyond.
func (c *courier) save(ctx context.Context, r recorded) error {
	to := store.Checkpoint{Position: r.Position, EventID: r.ID}
	if to.Position <= c.saved.Position {
		return nil
	}
	if err := c.bank.marks.SaveCheckpoint(ctx, consumer, c.saved, to); err != nil {
		return fmt.Errorf("save the checkpoint of %s: %w", consumer, err)
	}
	c.saved = to
	return nil
}

// tell says that all up to a position is handled, or why nothing more will be.
func (c *courier) tell(handled uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handled, c.err = max(c.handled, handled), err
	close(c.changed)
	c.changed = make(chan struct{})
}

// settle returns when nothing is left to do: all events are handled, and what was
// sent for them has led to no new ones.
func (c *courier) settle(ctx context.Context) error {
	for {
		head, err := c.bank.store.Head(ctx)
		if err != nil {
			return fmt.Errorf("read the head of the log: %w", err)
		}
		c.mu.Lock()
		handled, changed, err := c.handled, c.changed, c.err
		c.mu.Unlock()
		switch {
		case err != nil:
			return err
		case handled >= head:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
