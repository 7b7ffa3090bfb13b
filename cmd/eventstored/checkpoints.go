package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/open"
)

// checkpoints lists the checkpoints of a store, or sets the checkpoint of one consumer
// back.
func checkpoints(ctx context.Context, args []string, e env) error {
	var of source
	f := flags("checkpoints")
	of.add(f)
	reset := f.Bool("reset", false, "move the checkpoint of NAME back to the beginning: the consumer handles every event again")
	before := f.Uint64("before", 0, "move the checkpoint of NAME back to before this `position`: the consumer handles that event next")
	yes := f.Bool("yes", false, "make the change, instead of printing what would change")
	asJSON := f.Bool("json", false, "print JSON objects, one per line")
	operands, err := parseFlags(e, f, args, 0, 1)
	if err != nil {
		return err
	}
	back := *reset || *before > 0
	switch {
	case *reset && *before > 0:
		return fmt.Errorf("%w: checkpoints: -reset and -before exclude each other", errUsage)
	case back && len(operands) == 0:
		return fmt.Errorf("%w: checkpoints: NAME is missing", errUsage)
	case *yes && !back:
		return fmt.Errorf("%w: checkpoints: -yes needs -reset or -before", errUsage)
	}
	if back && *yes {
		return of.writing(ctx, func(st open.Backend) error { return setBack(ctx, st, operands[0], *before, true, e) })
	}
	return of.reading(ctx, func(st open.Backend) error {
		if back {
			return setBack(ctx, st, operands[0], *before, false, e)
		}
		return listCheckpoints(ctx, st, operands, *asJSON, e)
	})
}

// checkpointsOf returns st as a store of checkpoints.
func checkpointsOf(st open.Backend) (store.Checkpoints, error) {
	c, ok := st.(store.Checkpoints)
	if !ok {
		return nil, fmt.Errorf("a %T has no checkpoints: use the store behind the server, or the store of the read model", st)
	}
	return c, nil
}

// checkpointLine is a checkpoint as it is printed.
type checkpointLine struct {
	Name     string `json:"name"`
	Position uint64 `json:"position"`
	EventID  string `json:"event_id,omitempty"`
	Lag      uint64 `json:"lag"` // from there to the head of the log in the same store
}

func listCheckpoints(ctx context.Context, st open.Backend, names []string, asJSON bool, e env) error {
	all, err := checkpointsOf(st)
	if err != nil {
		return err
	}
	head, err := st.Head(ctx)
	if err != nil {
		return err
	}
	var list []store.NamedCheckpoint
	for _, name := range names {
		c, err := all.LoadCheckpoint(ctx, name)
		if err != nil {
			return err
		}
		list = append(list, store.NamedCheckpoint{Name: name, Checkpoint: c})
	}
	if len(names) == 0 {
		if list, err = allCheckpoints(ctx, all); err != nil {
			return err
		}
	}
	lines := make([]checkpointLine, len(list))
	for i, c := range list {
		lines[i] = checkpointLine{c.Name, c.Position, c.EventID, head - min(head, c.Position)}
	}
	if asJSON {
		encoder := json.NewEncoder(e.stdout)
		for _, l := range lines {
			if err := encoder.Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tPOSITION\tLAG\tEVENT")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s\n", l.Name, l.Position, l.Lag, l.EventID)
	}
	return w.Flush()
}

// allCheckpoints returns all checkpoints of st.
func allCheckpoints(ctx context.Context, st store.Checkpoints) ([]store.NamedCheckpoint, error) {
	var all []store.NamedCheckpoint
	for from := ""; ; {
		page, err := st.ListCheckpoints(ctx, from, store.DefaultLimit)
		if err != nil {
			return nil, err
		}
		full := len(page) == store.DefaultLimit
		if len(page) > 0 && len(all) > 0 && page[0].Name == from { // the last one of the previous page
			page = page[1:]
		}
		if all = append(all, page...); !full {
			return all, nil
		}
		from = all[len(all)-1].Name
	}
}

// setBack moves the checkpoint called name back to before a position of the log, or
// only says so. Position 0 is the beginning.
func setBack(ctx context.Context, st open.Backend, name string, before uint64, do bool, e env) error {
	all, err := checkpointsOf(st)
	if err != nil {
		return err
	}
	from, err := all.LoadCheckpoint(ctx, name)
	if err != nil {
		return err
	}
	if from == (store.Checkpoint{}) {
		return fmt.Errorf("checkpoint %q is at the beginning, or does not exist", name)
	}
	if before > from.Position {
		return fmt.Errorf("checkpoint %q is at position %d: it can only move back, not to before %d", name, from.Position, before)
	}
	to, err := lastBefore(ctx, st, before)
	if err != nil {
		return err
	}
	if !do {
		fmt.Fprintf(e.stdout, "would move %q back from position %d to %d: stop the consumer, and repeat with -yes\n", name, from.Position, to.Position)
		return nil
	}
	// A checkpoint only moves forward, except back to the beginning.
	if err := all.SaveCheckpoint(ctx, name, from, store.Checkpoint{}); err != nil {
		return err
	}
	if to.Position > 0 {
		if err := all.SaveCheckpoint(ctx, name, store.Checkpoint{}, to); err != nil {
			return fmt.Errorf("%q is at the beginning now: %w", name, err)
		}
	}
	fmt.Fprintf(e.stdout, "moved %q back from position %d to %d\n", name, from.Position, to.Position)
	return nil
}

// lastBefore returns the checkpoint of the last event before a position of the log, or
// the zero Checkpoint if there is none.
func lastBefore(ctx context.Context, st open.Backend, position uint64) (store.Checkpoint, error) {
	if position <= 1 {
		return store.Checkpoint{}, nil
	}
	page, err := st.ReadAll(ctx, store.LogOptions{From: position - 1, Backward: true, Limit: 1})
	if err != nil || len(page.Events) == 0 {
		return store.Checkpoint{}, err
	}
	return store.Checkpoint{Position: page.Events[0].Position, EventID: page.Events[0].ID}, nil
}
