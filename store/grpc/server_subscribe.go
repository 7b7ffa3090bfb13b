package grpc

import (
	"context"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
)

// keepAlive is how long a subscription is idle before, and between, messages that
// only show that it is alive.
const keepAlive = 5 * time.Second

type subscription struct {
	stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse]
	view   view
	call   *Call
	next   uint64
	filter store.Filter
	sent   bool
}

// Subscribe is the RPC of that name.
func (s *Server) Subscribe(
	req *eventstorev1.SubscribeRequest, stream gogrpc.ServerStreamingServer[eventstorev1.SubscribeResponse],
) error {
	ctx := stream.Context()
	c := &Call{Method: "Subscribe", Tenant: req.GetTenantId()}
	return s.serve(ctx, c, "SubscribeRequest", func(v view) error {
		filter := filterOf(ctx, v)
		filter.IDPrefix = req.GetAggregateIdPrefix()
		sub := &subscription{stream: stream, view: v, call: c, next: req.GetFromGlobalNonce(), filter: filter}
		return s.subscribe(ctx, sub)
	})
}

func (s *Server) subscribe(ctx context.Context, sub *subscription) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type item struct {
		page store.Page
		err  error
	}
	pages := make(chan item)
	go func() {
		defer close(pages)
		for page, err := range sub.view.log.Subscribe(ctx, store.LogOptions{From: min(sub.next, store.MaxVersion+1), Filter: sub.filter, Limit: 100}) {
			select {
			case pages <- item{page, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	idle := time.NewTimer(keepAlive)
	defer idle.Stop()
	for {
		select {
		case <-s.draining:
			return status.Error(codes.Unavailable, "the server is shutting down: subscribe again from the next event")
		case <-idle.C:
			if err := sub.stream.Send(&eventstorev1.SubscribeResponse{}); err != nil {
				return err
			}
			idle.Reset(keepAlive)
		case i, ok := <-pages:
			if !ok {
				return ctx.Err()
			}
			if i.err != nil {
				return i.err
			}
			for j := range i.page.Events {
				if err := sub.stream.Send(&eventstorev1.SubscribeResponse{Event: toProto(sub.view.tenant, &i.page.Events[j])}); err != nil {
					return err
				}
			}
			idle.Reset(keepAlive)
		}
	}
}
