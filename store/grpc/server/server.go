package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

var _ eventstorev1.EventStoreServer = (*Server)(nil)

// Server serves a backend to clients of the eventstore.v1 protocol. Register it on your
// own gRPC server ([Server.Register]), or let it run one ([Server.Serve]). It is safe
// for concurrent use.
type Server struct {
	eventstorev1.UnimplementedEventStoreServer

	backend   store.Store
	whole     store.Log // the backend
	auth      Authenticator
	logger    *slog.Logger
	observer  Observer
	now       func() time.Time
	conflicts ConflictDetails
	health    *health.Server
	finder    *finder
	keys      *keys
	tails     tails
	large     bool        // events may be larger than other clients can read
	away      atomic.Bool // Monitor got no answer from the backend

	drain    sync.Once
	draining chan struct{} // closed by drain
}

// Option is an option of [New].
type Option interface{ apply(s *Server) }

type option func(s *Server)

func (o option) apply(s *Server) { o(s) }

// WithAuthenticator sets who may call, and for which tenants. Without it, every client
// may use every tenant.
func WithAuthenticator(a Authenticator) Option {
	return option(func(s *Server) { s.auth = a })
}

// WithLogger sets where the server logs: unexpected failures at the level error, every
// call at the level debug. Without it, the server is silent.
func WithLogger(l *slog.Logger) Option {
	return option(func(s *Server) { s.logger = l })
}

// WithObserver sets an observer of every call, for metrics.
func WithObserver(o Observer) Option {
	return option(func(s *Server) { s.observer = o })
}

// New returns a server for backend. It panics if backend is not a [store.Log]. If backend is
// a [store.Tenants], every tenant on the wire is one of its tenants; otherwise backend is
// the store of [store.DefaultTenant], and there are no other tenants.
func New(backend store.Store, options ...Option) *Server {
	log, ok := backend.(store.Log)
	if !ok {
		panic(fmt.Sprintf("store/grpc/server: a server needs a store with a log, but %T has none", backend))
	}
	s := &Server{
		backend:  backend,
		whole:    log,
		logger:   slog.New(slog.DiscardHandler),
		now:      time.Now, //nolint:forbidigo // how long a call takes is told to people only
		health:   health.NewServer(),
		finder:   newFinder(),
		keys:     newKeys(),
		draining: make(chan struct{}),
	}
	s.setServing(true)
	for _, o := range options {
		o.apply(s)
	}
	return s
}

// WithLargeEvents accepts events up to the limit of the store, 16 MiB. Without it, an
// event must fit into a message of 4 MiB, which is the most that clients in other
// languages receive by default: they cannot read a larger event, and their
// subscriptions stop at it for good.
func WithLargeEvents() Option {
	return option(func(s *Server) { s.large = true })
}

// Register registers the service at r, such as a *grpc.Server.
func (s *Server) Register(r gogrpc.ServiceRegistrar) {
	eventstorev1.RegisterEventStoreServer(r, s)
}

// Call is an RPC.
type Call struct {
	Method   string        // such as "Append"
	Tenant   string        // as the client named it, allowed or not
	Identity string        // of the client, if there is an Authenticator
	Events   int           // recorded or sent
	Bytes    int           // in their payloads
	Replayed bool          // for an append whose events were recorded before
	Duration time.Duration // set when it has ended
	Code     codes.Code    // set when it has ended
}

// Observer is told about every RPC. It must be safe for concurrent use and must not
// block.
type Observer interface {
	// Begin is called before an RPC is handled; Method and Tenant are set. If it
	// panics, the RPC is not handled, and its status is INTERNAL.
	Begin(ctx context.Context, c Call)
	// End is called after an RPC was handled, if Begin returned. If End panics, the answer
	// stays the same, and the panic is logged.
	End(ctx context.Context, c Call)
}

// view is what a call can see: one tenant's store.
type view struct {
	tenant string
	store  store.Store
	log    store.Log
	known  bool // the client knows our metadata
}

// serve handles the RPC c, whose request names a tenant. A panic in it does not affect
// other calls.
func (s *Server) serve(ctx context.Context, c *Call, message string, handle func(v view) error) (err error) {
	start, began := s.now(), s.observer == nil
	defer func() {
		if r := recover(); r != nil {
			err = s.unexpected(ctx, c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
		c.Code, c.Duration = status.Code(err), s.now().Sub(start)
		if began {
			s.ended(ctx, c, err)
		}
	}()
	if s.observer != nil {
		s.observer.Begin(ctx, *c)
		began = true
	}
	v, err := s.admit(ctx, c, message)
	if err != nil {
		return err
	}
	return s.toStatus(ctx, c, handle(v))
}

// ended informs the observer and the logger about c. The answer is already fixed, so a
// panic in them changes nothing.
func (s *Server) ended(ctx context.Context, c *Call, err error) {
	defer func() {
		if r := recover(); r != nil {
			s.log(ctx, "reporting a call failed", c, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	if s.logger.Enabled(ctx, slog.LevelDebug) {
		s.logger.LogAttrs(ctx, slog.LevelDebug, "call", slog.String("method", c.Method), slog.String("tenant", c.Tenant),
			slog.String("identity", c.Identity), slog.Int("events", c.Events), slog.Int("bytes", c.Bytes),
			slog.Duration("duration", c.Duration), slog.String("code", c.Code.String()), slog.Any("error", err))
	}
	if s.observer != nil {
		s.observer.End(ctx, *c)
	}
}

// log logs an error of c. It ignores a panic of the logger.
func (s *Server) log(ctx context.Context, message string, c *Call, err error) {
	defer func() { _ = recover() }()
	s.logger.LogAttrs(ctx, slog.LevelError, message, slog.String("method", c.Method), slog.String("tenant", c.Tenant), slog.Any("error", err))
}

// admit returns the store of the tenant of c, if its client may use it.
func (s *Server) admit(ctx context.Context, c *Call, message string) (view, error) {
	if c.Tenant == "" {
		return view{}, status.Error(codes.Unauthenticated, "tenant_id is required on "+message)
	}
	if err := s.authorize(ctx, c); err != nil {
		return view{}, err
	}
	if err := store.ValidateTenant(c.Tenant); err != nil {
		return view{}, s.toStatus(ctx, c, err)
	}
	known := len(metadata.ValueFromIncomingContext(ctx, wire.MDClient)) > 0
	v := view{tenant: c.Tenant, store: s.backend, log: s.whole, known: known}
	tenants, ok := s.backend.(store.Tenants)
	if !ok {
		if c.Tenant != store.DefaultTenant {
			return view{}, answerf(codes.PermissionDenied, "tenant_id '%s' is not served here", c.Tenant)
		}
		return v, nil
	}
	st, err := tenants.Tenant(c.Tenant)
	if err != nil {
		return view{}, s.toStatus(ctx, c, err)
	}
	log, ok := st.(store.Log)
	if !ok {
		return view{}, s.unexpected(ctx, c, fmt.Errorf("the store of a tenant is a %T, which has no log", st))
	}
	v.store, v.log = st, log
	return v, nil
}
