package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/examples/tutorial/order"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// broker is the part of JetStream that publishing needs.
type broker interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// message is the published form of an event. Others rely on it, so it is independent of
// how events are stored.
type message struct {
	Order  string      `json:"order"`
	Detail order.Event `json:"detail"`
}

// orders says how the publisher reads the log.
func orders() codec.Source[message] {
	return codec.Events(codec.From("Order", order.Codec(), func(r *store.Recorded, e order.Event) message {
		return message{r.Stream.ID, e}
	}))
}

// publisher returns the projection that publishes the orders of st. It begins with the
// first event after its first run begins. If the broker does not answer, an event is
// published again with the same id, and the broker keeps it once.
func publisher(st *sqlite.Store, js broker) *projection.Projection[*sqlite.Tx, message] {
	return projection.Deliver(st, st, "publish", orders(), func(ctx context.Context, e projection.Event[message]) error {
		data, err := json.Marshal(e.Event)
		if err != nil {
			return projection.Permanent(err)
		}
		id := fmt.Sprintf("%s.%d", e.Recorded.ID, e.Index)
		_, err = js.PublishMsg(ctx, &nats.Msg{Subject: subject(e.Event.Detail), Data: data}, jetstream.WithMsgID(id))
		return err
	})
}

// subject returns the subject on which an event is published.
func subject(e order.Event) string {
	switch e.(type) {
	case order.Placed:
		return "orders.placed"
	case order.Paid:
		return "orders.paid"
	case order.Cancelled:
		return "orders.cancelled"
	}
	return "orders.other"
}
