package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
)

var errConflict = errors.New("by hand: somebody else appended first")

// handMemory does the job in memory without a library. It has a map of slices behind a
// lock, a switch over the type of an event, and a fold into a pointer. It keeps no ids
// and no log, and does not copy the caller's data.
type handMemory[E any] struct {
	closer

	mu      sync.RWMutex
	streams map[string][]E // guarded by mu
	make    func(event kept) (E, error)
	fold    func(a *account, events []E) error
}

func floorMemory() row {
	return row{name: "by hand", by: true, open: func(context.Context, string) (driver, error) {
		return &handMemory[kept]{
			closer: nothing, streams: map[string][]kept{},
			make: func(event kept) (kept, error) { return event, nil }, fold: foldKept,
		}, nil
	}}
}

func floorMemoryJSON() row {
	return row{name: "by hand", by: true, open: func(context.Context, string) (driver, error) {
		return &handMemory[encoded]{closer: nothing, streams: map[string][]encoded{}, make: encode, fold: func(a *account, events []encoded) error {
			for i := range events {
				if err := events[i].fold(a); err != nil {
					return err
				}
			}
			return nil
		}}, nil
	}}
}

func foldKept(a *account, events []kept) error {
	for _, event := range events {
		evolveKept(a, event)
	}
	return nil
}

func (h *handMemory[E]) load(id string) (a account, version int, err error) {
	h.mu.RLock()
	events := h.streams[id]
	h.mu.RUnlock()
	err = h.fold(&a, events) // elements of the slice are never written again
	return a, len(events), err
}

func (h *handMemory[E]) append(id string, version int, events ...E) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	is := h.streams[id]
	if len(is) != version {
		return errConflict
	}
	h.streams[id] = append(is, events...)
	return nil
}

func (h *handMemory[E]) appendOne(id string, version int, event kept) error {
	e, err := h.make(event)
	if err != nil {
		return err
	}
	return h.append(id, version, e)
}

func (h *handMemory[E]) open(_ context.Context, stream stream) error {
	a, version, err := h.load(stream.name)
	if err != nil {
		return err
	}
	if err := a.mayOpen(); err != nil {
		return err
	}
	return h.appendOne(stream.name, version, newOpened())
}

func (h *handMemory[E]) deposit(_ context.Context, stream stream, amount int64) error {
	a, version, err := h.load(stream.name)
	if err != nil {
		return err
	}
	if err := a.mayDeposit(amount); err != nil {
		return err
	}
	return h.appendOne(stream.name, version, newDeposited(amount))
}

func (h *handMemory[E]) replay(_ context.Context, stream stream) (account, error) {
	a, _, err := h.load(stream.name)
	return a, err
}

func (h *handMemory[E]) appender(_ context.Context, stream stream) (func(k int) error, error) {
	id, version := stream.name, 1
	var batch []E
	return func(k int) error {
		batch = batch[:0]
		for range k {
			e, err := h.make(newDeposited(1))
			if err != nil {
				return err
			}
			batch = append(batch, e)
		}
		if err := h.append(id, version, batch...); err != nil {
			return err
		}
		version += k
		return nil
	}, h.appendOne(id, 0, newOpened())
}

func (*handMemory[E]) conflict(err error) bool { return errors.Is(err, errConflict) }

// encoded is an event as the floor stores it: its kind, and its payload as JSON.
type encoded struct {
	kind string
	data []byte
}

func encode(event kept) (encoded, error) {
	kind := "d"
	if _, ok := event.(keptOpened); ok {
		kind = "o"
	}
	data, err := json.Marshal(event)
	return encoded{kind, data}, err
}

func (e encoded) fold(a *account) error {
	if e.kind == "o" {
		var opened Opened
		err := json.Unmarshal(e.data, &opened)
		a.opened(opened.Owner)
		return err
	}
	var deposited Deposited
	err := json.Unmarshal(e.data, &deposited)
	a.deposited(deposited.Amount)
	return err
}
