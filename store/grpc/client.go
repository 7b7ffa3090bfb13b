package grpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

var (
	_ store.Store   = (*Store)(nil)
	_ store.Log     = (*Store)(nil)
	_ store.Tenants = (*Store)(nil)
	_ io.Closer     = (*Store)(nil)
)

// Store is the store of one tenant on a server of eventstore.v1. [Open] returns the
// store of the tenant that [Tenant] names; [Store.Tenant] returns the stores of other
// tenants over the same connection. It is safe for concurrent use. The zero Store is
// not usable.
type Store struct {
	client *client
	tenant string
}

// client holds what the stores of all tenants share.
type client struct {
	config
	target string
	api    eventstorev1.EventStoreClient
	ours   atomic.Bool // the server has answered like one of this package

	life    context.Context //nolint:containedctx // ended by Close
	end     context.CancelFunc
	mu      sync.Mutex
	closed  bool           // guarded by mu
	running sync.WaitGroup // calls and receivers; Add is called under mu, and only if not closed
	shut    func() error   // does the work of Close, once
}

// Open returns a store on the server at target: a gRPC target such as
// "events.example.org:443", or "" with [Conn]. It connects with TLS and trusts the
// system's root certificates, unless an option says otherwise.
//
// Open asks the server for the tenant's head, and returns an error if it gets no
// answer: the server cannot be reached, or it does not accept the certificate, the
// credentials or the tenant. If an option is invalid, the error is an
// *[store.InvalidError]. Close the store when you are done with it.
func Open(ctx context.Context, target string, options ...Option) (*Store, error) {
	c, err := newConfig(target, options)
	if err != nil {
		return nil, err
	}
	conn, closeConn := c.conn, func() error { return nil }
	if conn == nil {
		if conn, err = gogrpc.NewClient(target, c.dialOptions()...); err != nil {
			return nil, fmt.Errorf("store/grpc: open %q: %w", target, err)
		}
		closeConn = conn.Close
	}
	s := &Store{tenant: c.tenant, client: &client{config: *c, target: conn.Target(), api: eventstorev1.NewEventStoreClient(conn)}}
	s.client.life, s.client.end = context.WithCancel(context.WithoutCancel(ctx))
	s.client.shut = sync.OnceValue(func() error { return s.client.close(closeConn) })
	if _, err := s.Head(ctx); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return nil, errors.Join(c.hint(err), s.Close())
	}
	return s, nil
}

// Tenant returns the store of tenant id on the same server. It returns an
// *[store.InvalidError] if id is not valid, and [store.ErrClosed] after Close. Tenant
// does not contact the server: the first call shows whether you may use that tenant.
func (s *Store) Tenant(id string) (store.Store, error) {
	if err := store.ValidateTenant(id); err != nil {
		return nil, err
	}
	if s.client.life.Err() != nil {
		return nil, store.ErrClosed
	}
	return &Store{client: s.client, tenant: id}, nil
}

// Close closes the stores of all tenants. It waits for the calls in progress, which end
// within [Timeout], but not for loops over subscriptions. Subscriptions yield
// [store.ErrClosed] last, and every later call returns it. A connection passed with [Conn]
// stays open. You can call Close again; it returns the same result.
func (s *Store) Close() error { return s.client.shut() }

func (c *client) close(closeConn func() error) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end()
	c.running.Wait()
	if err := closeConn(); err != nil {
		return fmt.Errorf("store/grpc: close the connection to %q: %w", c.target, err)
	}
	return nil
}

// begin registers a call or a receiver, which must call c.running.Done when it has
// ended. It returns an error if the store is closed.
func (c *client) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return store.ErrClosed
	}
	c.running.Add(1)
	return nil
}

// outgoing returns ctx with the metadata of every request, and with more.
func outgoing(ctx context.Context, more ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, append(more, wire.MDClient, "1")...)
}
