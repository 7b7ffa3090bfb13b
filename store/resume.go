package store

import (
	"context"
	"fmt"
)

// Resume returns the position at which a consumer with checkpoint c continues in log:
// the position after c.Position, or 0 if c.Position is 0. Use it as the From of
// [LogOptions].
//
// First it checks that c was made on this log, by reading the event at c.Position. If
// there is none, or it has another id, this is another log: somebody has restored a
// backup, or promoted a replica that lacked the last events. Continuing would skip
// events, so Resume returns a *DivergedError.
func Resume(ctx context.Context, log Log, c Checkpoint) (from uint64, err error) {
	if c.Position == 0 {
		return 0, nil
	}
	page, err := log.ReadAll(ctx, LogOptions{From: c.Position, Limit: 1})
	if err != nil {
		return 0, fmt.Errorf("read position %d of the log: %w", c.Position, err)
	}
	found := ""
	if len(page.Events) > 0 && page.Events[0].Position == c.Position {
		found = page.Events[0].ID
	}
	if found == "" || found != c.EventID {
		return 0, &DivergedError{Checkpoint: c, Found: found, Head: page.Head}
	}
	return c.Position + 1, nil
}

// DivergedError reports a checkpoint that was made on another log.
type DivergedError struct {
	Checkpoint Checkpoint
	Found      string // the id of the event at Position; "" if there is none
	Head       uint64 // the last position of the log
}

// Error returns a message with the checkpoint and what the log has at its position.
func (e *DivergedError) Error() string {
	found := "has no event there"
	if e.Found != "" {
		found = fmt.Sprintf("has event %q there", e.Found)
	}
	return fmt.Sprintf("store: log diverged: checkpoint is event %q at position %d, the log %s, its head is %d",
		e.Checkpoint.EventID, e.Checkpoint.Position, found, e.Head)
}

// Is reports whether target is ErrLogDiverged.
func (e *DivergedError) Is(target error) bool { return target == ErrLogDiverged }
