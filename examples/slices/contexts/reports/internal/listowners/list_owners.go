// Package listowners is the slice that lists the owners of accounts.
package listowners

import (
	"context"
	"fmt"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/store"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts"
)

// Entry is one entry of the list.
type Entry struct {
	Owner string `json:"owner"`
}

// View returns the view that makes an entry from the events of an account.
func View() decider.View[Entry, accounts.Published] {
	return decider.View[Entry, accounts.Published]{Evolve: evolve}
}

func evolve(entry Entry, event accounts.Published) Entry {
	if e, ok := event.(accounts.Opened); ok {
		entry.Owner = e.Owner
	}
	return entry
}

// Load returns the entries of all accounts in log, by their ids.
func Load(ctx context.Context, log store.Log) (map[string]Entry, error) {
	view, codec, entries := View(), accounts.PublishedCodec(), map[string]Entry{}
	o := store.LogOptions{Filter: store.Filter{StreamTypes: []string{accounts.StreamType}}}
	for {
		page, err := log.ReadAll(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		for i := range page.Events {
			id := page.Events[i].Stream.ID
			entry, ok := entries[id]
			if !ok {
				entry = view.Start()
			}
			events, err := codec.Decode(nil, page.Events[i:i+1])
			if err != nil {
				return nil, err
			}
			entries[id] = view.Fold(entry, events...)
		}
		if page.End {
			return entries, nil
		}
		o.From = page.Next
	}
}
