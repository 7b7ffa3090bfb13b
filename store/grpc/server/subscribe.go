package server

import (
	"context"
	"errors"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// An idle subscription gets messages that only show that it is alive: the first one
// after firstKeepAlive, for clients that wait for it after the replay, and another one
// after each keepAlive.
const (
	firstKeepAlive = time.Second
	keepAlive      = 5 * time.Second
)

// Subscribe is the RPC of that name.
func (s *Server) Subscribe(
	req *eventstorev1.SubscribeRequest, stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse],
) error {
	ctx := stream.Context()
	c := &Call{Method: "Subscribe", Tenant: req.GetTenantId()}
	return s.serve(ctx, c, "SubscribeRequest", func(v view) error {
		if err := stream.SendHeader(metadata.MD{}); err != nil { // some clients wait for the header
			return err
		}
		head, err := v.log.Head(ctx)
		if err != nil {
			return err
		}
		sub := &subscription{
			Call: c, stream: stream, view: v, filter: filterOf(ctx, v), target: head,
			next: min(max(req.GetFromGlobalNonce(), 1), store.MaxVersion+1), limit: firstRead,
		}
		sub.filter.IDPrefix = req.GetAggregateIdPrefix()
		return s.subscribe(ctx, sub)
	})
}

// subscription is a call of Subscribe.
type subscription struct {
	*Call

	stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse]
	view   view
	filter store.Filter
	next   uint64 // the position of the next event
	target uint64 // the highest head of the log so far: it has not caught up before it reaches this
	marked uint64 // the position that the client was told is the end
	limit  int    // number of events of the next page
	idle   *time.Timer
	kept   bool // the first keep-alive was sent
}

// subscribe sends existing and new events until ctx ends.
func (s *Server) subscribe(ctx context.Context, sub *subscription) error {
	t := s.tails.join(sub.view, sub.target) //nolint:contextcheck // it outlives the call, if others share it
	defer s.tails.leave(sub.view, t)
	sub.idle = time.NewTimer(firstKeepAlive)
	for {
		select {
		case <-s.draining:
			return status.Error(codes.Unavailable, "the server shuts down: subscribe again from the next event")
		case <-sub.idle.C: // nothing has matched for a long time
			if err := sub.keepAlive(); err != nil {
				return err
			}
		default:
		}
		g := t.from(sub.next)
		if g.err != nil {
			s.tails.broken(sub.view, t)
			return s.broke(ctx, sub, g.err)
		}
		if err := sub.handle(ctx, g); err != nil {
			return err
		}
		if !g.drained || len(g.events) > 0 {
			continue
		}
		if err := s.wait(ctx, sub, g); err != nil {
			return err
		}
	}
}

// broke returns the status of a subscription whose store ended it with err.
func (s *Server) broke(ctx context.Context, sub *subscription, err error) error {
	if !errors.Is(err, store.ErrClosed) {
		_ = s.unexpected(ctx, sub.Call, err)
	}
	return status.Error(codes.Unavailable, "the subscription broke: subscribe again from the next event")
}

// handle sends what is in g, or reads the log if g does not go back far enough.
func (sub *subscription) handle(ctx context.Context, g glimpse) error {
	if g.behind {
		return sub.replay(ctx)
	}
	for _, e := range g.events {
		if !sub.filter.Matches(&e.event) {
			continue
		}
		if err := sub.send(e); err != nil {
			return err
		}
	}
	sub.next = g.next
	if g.end && sub.view.known && sub.next > sub.target && sub.next != sub.marked {
		sub.marked = sub.next
		return sub.sendMessage(&eventstorev1.SubscribeResponse{Event: &eventstorev1.EventData{
			Meta: &eventstorev1.EventMetadata{AggregateNonce: max(g.head, sub.target), GlobalNonce: g.next},
		}})
	}
	return nil
}

// replay sends a page of the log.
func (sub *subscription) replay(ctx context.Context) error {
	page, err := sub.view.log.ReadAll(ctx, store.LogOptions{From: sub.next, Limit: sub.limit, Filter: sub.filter})
	if err != nil {
		return err
	}
	size := 1
	for i := range page.Events {
		size += len(page.Events[i].Data)
		if err := sub.send(newFed(sub.view.tenant, page.Events[i])); err != nil {
			return err
		}
	}
	sub.next, sub.target = page.Next, max(sub.target, page.Head) // the tail may have seen less
	sub.limit = max(1, min(batchSize, batchBytes*max(len(page.Events), 1)/size))
	return nil
}

func (sub *subscription) send(e *fed) error {
	if e.event.Value != nil {
		return errValue(e.event.ID)
	}
	sub.Events++
	sub.Bytes += len(e.event.Data)
	return sub.sendMessage(e.message)
}

func (sub *subscription) sendMessage(m *eventstorev1.SubscribeResponse) error {
	if err := sub.stream.Send(m); err != nil {
		return err
	}
	after := keepAlive
	if !sub.kept {
		after = firstKeepAlive
	}
	sub.idle.Reset(after)
	return nil
}

// keepAlive sends a message that only shows that the subscription is alive.
func (sub *subscription) keepAlive() error {
	sub.kept = true
	return sub.sendMessage(&eventstorev1.SubscribeResponse{})
}

// wait waits until there is more than g, or sends a keep-alive if that takes long.
func (s *Server) wait(ctx context.Context, sub *subscription, g glimpse) error {
	select {
	case <-g.changed:
		return nil
	case <-s.draining:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-sub.idle.C:
		return sub.keepAlive()
	}
}

// errValue returns the error for an event that cannot be sent.
func errValue(id string) error {
	return answerf(codes.FailedPrecondition, "event '%s' is kept as a value and has no bytes to send", id)
}
