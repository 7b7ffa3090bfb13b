// Package listowners is the slice that lists the owners of accounts.
package listowners

import (
	"context"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts"
)

// Entry is one entry in the list.
type Entry struct {
	Owner string `json:"owner"`
}

// View returns the view that computes an entry from the events of an account.
func View() decider.View[Entry, accounts.Published] {
	return decider.View[Entry, accounts.Published]{Evolve: evolve}
}

func evolve(entry Entry, event accounts.Published) Entry {
	if e, ok := event.(accounts.Opened); ok {
		entry.Owner = e.Owner
	}
	return entry
}

// Event is an event of the account with the id Account.
type Event struct {
	Account string
	Event   accounts.Published
}

// Projection returns the projection that keeps the entries in target. When you change
// evolve, add WithVersion(2), which builds the entries again.
func Projection[T projection.Tx](log store.Log, target projection.Target[T]) *projection.Projection[T, Event] {
	// The struct hides which names the codec knows, so you need no new version when
	// accounts publishes more events.
	all := struct {
		codec.Codec[accounts.Published]
	}{accounts.PublishedCodec()}
	events := codec.Events(codec.From(accounts.StreamType, all, func(r *store.Recorded, e accounts.Published) Event {
		return Event{r.Stream.ID, e}
	}))
	view := decider.MapViewEvent(View(), func(e Event) (accounts.Published, bool) { return e.Event, true })
	return projection.Documents(log, target, "reports/list-owners", events, view, func(e Event) (string, bool) { return e.Account, true })
}

// Load returns the entries of all accounts in p, by id.
func Load[T projection.Tx](ctx context.Context, p *projection.Projection[T, Event]) (map[string]Entry, error) {
	entries, from := map[string]Entry{}, ""
	for {
		page, err := projection.Scan[Entry](ctx, p, from, "", 0)
		if err != nil || len(page) == 0 {
			return entries, err
		}
		for _, e := range page {
			entries[e.Key] = e.State
		}
		from = page[len(page)-1].Key + "\x01" // the smallest key after the last one, because ids have no NUL
	}
}
