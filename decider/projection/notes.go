package projection

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/evolvego/evolve/store"
)

// A projection stores notes beside the read model, as documents of the target. Kinds of
// documents that begin with "evolve/" belong to evolve.
const (
	kindBuilds = "evolve/projections" // by build: a description
	kindActive = "evolve/active"      // by name: the build that readers use
)

func (c *config) kindKeys() string   { return "evolve/parked/" + c.build() }
func (c *config) kindEvents() string { return "evolve/parked-events/" + c.build() }
func (c *config) kindStates() string { return "evolve/documents/" + c.build() }

// description is the stored note about a build.
type description struct {
	Setup   bool           `json:"setup"`             // setup was called
	Ready   bool           `json:"ready,omitempty"`   // it has caught up
	Retired bool           `json:"retired,omitempty"` // it has ended
	Reads   []store.Filter `json:"reads"`             // the filters of the source, one for each part
}

// active is the stored note about which build readers use.
type active struct {
	Version int    `json:"version"`
	Build   string `json:"build"`
}

// parkedKey is the stored note about a parked key, with the event that failed.
type parkedKey struct {
	Position uint64    `json:"position"`
	Cause    string    `json:"cause"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
}

// loadNote loads the document of kind and id into note. It returns false if there is
// none.
func loadNote[T Tx](tx T, kind, id string, note any) (bool, error) {
	docs, err := tx.LoadDocuments(kind, []string{id})
	if err != nil {
		return false, err
	}
	if len(docs) != 1 || docs[0].Data == nil {
		return false, nil
	}
	if err := json.Unmarshal(docs[0].Data, note); err != nil {
		return false, fmt.Errorf("projection: document %q of kind %q: %w", id, kind, err)
	}
	return true, nil
}

func saveNote[T Tx](tx T, kind, id string, note any) error {
	doc, err := noteDocument(kind, id, note)
	if err != nil {
		return err
	}
	return tx.SaveDocuments([]store.Document{doc})
}

func noteDocument(kind, id string, note any) (store.Document, error) {
	data, err := json.Marshal(note)
	if err != nil {
		return store.Document{}, fmt.Errorf("projection: document %q of kind %q: %w", id, kind, err)
	}
	return store.Document{Kind: kind, ID: id, Data: data}, nil
}

// covers reports whether one of filters matches every event that f matches, where f has
// one stream type and either one event type or none, which means all.
func covers(filters []store.Filter, streamType, eventType string) bool {
	return slices.ContainsFunc(filters, func(f store.Filter) bool {
		return slices.Contains(f.StreamTypes, streamType) &&
			(len(f.EventTypes) == 0 || eventType != "" && slices.Contains(f.EventTypes, eventType))
	})
}

// grown returns filters for the events that now matches and before does not.
func grown(before, now []store.Filter) []store.Filter {
	var more []store.Filter
	for _, f := range now {
		for _, streamType := range f.StreamTypes {
			if len(f.EventTypes) == 0 {
				if !covers(before, streamType, "") {
					more = append(more, store.Filter{StreamTypes: []string{streamType}})
				}
				continue
			}
			var names []string
			for _, name := range f.EventTypes {
				if !covers(before, streamType, name) {
					names = append(names, name)
				}
			}
			if len(names) > 0 {
				more = append(more, store.Filter{StreamTypes: []string{streamType}, EventTypes: names})
			}
		}
	}
	return more
}
