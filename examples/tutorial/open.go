package main

import (
	"context"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// change is an event of an order, and the id of the order.
type change struct {
	ID    string
	Event order.Event
}

// openOrders returns the projection that keeps the table open_order: what is due, by
// order.
func openOrders(st *sqlite.Store) *projection.Projection[*sqlite.Tx, change] {
	changes := codec.Events(codec.From("Order", order.Codec(), func(r *store.Recorded, e order.Event) change {
		return change{r.Stream.ID, e}
	}))
	return projection.New(st, st, "open-orders", changes, apply).WithSetup(setup)
}

func setup(_ context.Context, tx *sqlite.Tx) error {
	_, err := tx.Exec(`CREATE TABLE open_order (id TEXT PRIMARY KEY, customer TEXT NOT NULL, due INTEGER NOT NULL) STRICT`)
	return err
}

func apply(_ context.Context, tx *sqlite.Tx, e projection.Event[change]) error {
	id := e.Event.ID
	var err error
	switch e := e.Event.Event.(type) {
	case order.Placed:
		_, err = tx.Exec(`INSERT INTO open_order (id, customer, due) VALUES (?, ?, ?)`, id, e.Customer, e.Cents)
	case order.Paid:
		if _, err = tx.Exec(`UPDATE open_order SET due = due - ? WHERE id = ?`, e.Cents, id); err == nil {
			_, err = tx.Exec(`DELETE FROM open_order WHERE id = ? AND due = 0`, id)
		}
	case order.Cancelled:
		_, err = tx.Exec(`DELETE FROM open_order WHERE id = ?`, id)
	}
	return err
}
