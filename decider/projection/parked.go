package projection

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/evolvego/evolve/store"
)

// Parked describes a parked key.
type Parked struct {
	Key string
	// Position is the position of the event that failed.
	Position uint64
	// Cause says why it failed.
	Cause string
	// Since is when it first failed.
	Since time.Time
	// Attempts is how often it has failed.
	Attempts int
}

// Parked lists the keys that are parked, in their byte order.
func (p *Projection[T, E]) Parked(ctx context.Context) ([]Parked, error) {
	var all []Parked
	err := p.target.Update(ctx, func(tx T) error {
		all = nil
		return p.eachParkedKey(tx, func(key string, why parkedKey) {
			all = append(all, Parked{Key: key, Position: why.Position, Cause: why.Cause, Since: why.Since, Attempts: why.Attempts})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("projection %s: list parked keys: %w", p, err)
	}
	return all, nil
}

func (p *Projection[T, E]) eachParkedKey(tx T, do func(key string, why parkedKey)) error {
	for from := ""; ; {
		docs, err := tx.ScanDocuments(p.kindKeys(), from, "", 0)
		if err != nil {
			return err
		}
		for _, d := range docs {
			var why parkedKey
			if err := json.Unmarshal(d.Data, &why); err != nil {
				return fmt.Errorf("parked key %q: %w", d.ID, err)
			}
			do(d.ID, why)
		}
		if len(docs) < store.DefaultLimit {
			return nil
		}
		from = docs[len(docs)-1].ID + "\x01"
	}
}

func (p *Projection[T, E]) loadParkedKeys(tx T) (map[string]struct{}, error) {
	parked := make(map[string]struct{})
	err := p.eachParkedKey(tx, func(key string, _ parkedKey) { parked[key] = struct{}{} })
	return parked, err
}

// firstParked returns the first of keys that is parked, or "" if none is.
func (p *Projection[T, E]) firstParked(tx T, keys []string) (string, error) {
	docs, err := tx.LoadDocuments(p.kindKeys(), keys)
	if err != nil {
		return "", err
	}
	for _, d := range docs {
		if d.Data != nil {
			return d.ID, nil
		}
	}
	return "", nil
}

// parkedKeys returns how many keys are parked, as far as the owner knows.
func (s *status) parkedKeys() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.parked)
}

func (s *status) isParked(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.parked[key]
	return ok
}

func (s *status) park(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parked == nil {
		s.parked = make(map[string]struct{})
	}
	s.parked[key] = struct{}{}
	s.is.Parked = len(s.parked)
	s.woken()
}

func (s *status) unpark(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parked, key)
	s.is.Parked = len(s.parked)
	s.woken()
}

// setParked records which keys are parked.
func (s *status) setParked(parked map[string]struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = maps.Clone(parked)
	s.is.Parked = len(parked)
	s.woken()
}
