package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

// Config says what a console shows, and to whom. Store must be set. All other fields have
// defaults.
type Config struct {
	// Store is the store to show. It must be a [store.Log]. If it is a [store.Tenants],
	// the console shows every tenant that the client may see. Without [store.Finder] it
	// lists only recent streams.
	Store store.Store
	// Types describes the types of streams: see [Aggregate].
	Types []Type
	// Recent holds the latest commands of runners. If it is nil, there is no such page.
	Recent *Recent
	// ReadSide returns the projections and processes of a tenant. If it is nil, there are
	// none.
	ReadSide func(ctx context.Context, tenant string) ([]Projection, []Process, error)
	// Access returns the identity and the rights behind a request. An error that matches
	// ErrUnauthenticated leads to the login form if there is one. It must be safe for
	// concurrent use. If it is nil, clients on this machine that request localhost,
	// without a proxy, may read everything, and other clients may do nothing.
	Access func(r *http.Request) (Access, error)
	// Login returns the access for a token, for the login form. If it is nil, there is no
	// form. A client that has logged in gets a cookie that is valid for eight hours,
	// while this process lives.
	Login func(ctx context.Context, token string) (Access, error)
	// Redact changes an event before anything of it is shown, decoded or exported. It
	// must be safe for concurrent use, and must not change what Data points to. If it is
	// nil, nothing is changed.
	Redact func(event *store.Recorded)
	// TraceURL is the address of a trace. "{trace}" in it is replaced by the id from the
	// header traceparent of an event. If it is empty, there are no such links.
	TraceURL string
	// Audit is the tenant that gets an event in its stream Console/actions for each
	// action: ActionTaken before the action, so that an action that cannot be recorded is
	// not done, and ActionFailed if it then fails. Their data is an [Action]. Other
	// readers of the tenant get these events too, so use a separate tenant if you can. If
	// Audit is empty, actions are only logged.
	Audit string
	// Logger logs who did what, and what went wrong. If it is nil, nothing is logged.
	Logger *slog.Logger
}

// Access says what a client may do. The zero Access allows nothing.
type Access struct {
	Name      string   // for the log; must not be secret
	Tenants   []string // that the client may see
	AnyTenant bool     // the client may see every tenant
	Data      bool     // the client may see payloads and states
	Act       bool     // the client may act: retry parked keys, and release, skip and abandon instances
}

// ErrUnauthenticated is the error that [Config.Access] and [Config.Login] return for an
// unknown client.
var ErrUnauthenticated = errors.New("console: the credentials are missing or not valid")

// Limits.
const (
	maxForm    = 4 << 20          // bytes of a form
	pageSize   = 50               // rows of a page
	maxScan    = 16_384           // positions that a request may read
	maxJobs    = 4                // replays, and questions to user code, at once
	maxFolds   = 8                // states that are computed at once
	askWithin  = 10 * time.Second // for an answer of user code
	maxPreview = 16 << 10         // bytes of a payload on a page
	maxTree    = 1 << 20          // bytes of a payload that is shown as a tree
)

// Console is an [http.Handler] that shows a store. [New] makes one. It is safe for
// concurrent use.
type Console struct {
	config   Config
	logger   *slog.Logger
	types    map[string]Type
	handler  http.Handler
	sessions sessions
	audits   store.Store // nil: there are none
	folds    chan struct{}
	asks     chan struct{}
	jobs     jobs
	stop     context.CancelFunc
	stopped  context.Context //nolint:containedctx // ends tails and jobs when the console is closed
	mu       sync.Mutex
	closed   bool           // guarded by mu
	running  sync.WaitGroup // tails and jobs that began before Close
	active   atomic.Int64   // of those
}

// New returns a Console. It panics if the store is not a [store.Log], if two types have
// the same name, or if the store has no tenant called Audit.
func New(config Config) *Console {
	if _, ok := config.Store.(store.Log); !ok {
		panic(fmt.Sprintf("console: New: a %T is not a store.Log", config.Store))
	}
	c := &Console{config: config, logger: config.Logger, types: make(map[string]Type)}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if c.audits, err = config.auditStore(); err != nil {
		panic(fmt.Sprintf("console: New: Audit: tenant %q: %v", config.Audit, err))
	}
	for _, t := range config.Types {
		if t.model == nil {
			panic("console: New: the zero Type is not usable")
		}
		if _, twice := c.types[t.model.name()]; twice {
			panic(fmt.Sprintf("console: New: there are two types %q", t.model.name()))
		}
		c.types[t.model.name()] = t
	}
	c.folds, c.asks = make(chan struct{}, maxFolds), make(chan struct{}, maxJobs)
	c.stopped, c.stop = context.WithCancel(context.Background())
	c.handler = c.routes()
	return c
}

// Close ends tails and replays, and returns when they have ended. Later requests are
// answered without them. It always returns nil, and you can call it again.
func (c *Console) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.running.Wait()
	return nil
}

// ServeHTTP answers a request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Cache-Control":              "no-store",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		w.Header().Set(name, value)
	}
	c.handler.ServeHTTP(w, r)
}

// routes returns the handler of all pages. A page is one segment below the mount point,
// so that relative links work under any prefix.
func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	for name, page := range map[string]func(*request) error{
		"GET /{$}": c.logPage, "GET /streams": c.streamsPage, "GET /stream": c.streamPage, "GET /event": c.eventPage,
		"GET /data": c.data, "GET /search": c.search, "GET /tail": c.tail, "GET /export": c.export, "GET /flow": c.flowPage,
		"GET /try": c.tryPage, "POST /try": c.tryPage, "GET /replay": c.replayPage, "POST /replay": c.startReplay, "GET /job": c.jobPage,
		"GET /projections": c.projectionsPage, "GET /parked": c.parkedPage, "GET /processes": c.processesPage, "GET /waiting": c.waitingPage,
		"GET /recent": c.recentPage, "POST /act": c.act,
	} {
		mux.HandleFunc(name, c.serve(page))
	}
	mux.HandleFunc("GET /login", c.loginPage)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	mux.HandleFunc("GET /console.css", asset("console.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /console.js", asset("console.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.fail(w, r, nil, errNotFound) })
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, nil, &pageError{http.StatusForbidden, "Not from here", "The request came from another site."})
	}))
	return protection.Handler(mux)
}

// request is a request whose client may see the tenant.
type request struct {
	w      http.ResponseWriter
	r      *http.Request
	access Access
	tenant string
	source *source
	c      *Console
}

// serve returns the handler of a page.
func (c *Console) serve(page func(*request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		q := &request{w: w, r: r, c: c}
		err := q.open()
		if err == nil {
			err = page(q)
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrUnauthenticated) && c.config.Login != nil && r.Method == http.MethodGet && !wantsJSON(r):
			redirect(w, "login?to="+loginTo(r))
		default:
			c.fail(w, r, q, err)
		}
	}
}

// open finds out who sent the request and what for.
func (q *request) open() error {
	var err error
	if q.access, err = q.c.accessOf(q.r); err != nil {
		return err
	}
	q.tenant = q.r.FormValue("tenant")
	if q.tenant == "" {
		q.tenant = q.access.first()
	}
	if !q.access.sees(q.tenant) {
		return errNotFound
	}
	st := q.c.config.Store
	if tenants, ok := st.(store.Tenants); ok && q.tenant != store.DefaultTenant {
		if st, err = tenants.Tenant(q.tenant); err != nil {
			return err
		}
	} else if q.tenant != store.DefaultTenant {
		return errNotFound
	}
	log, ok := st.(store.Log)
	if !ok {
		return fmt.Errorf("the store of tenant %q is not a log", q.tenant)
	}
	finder, _ := st.(store.Finder)
	q.source = &source{store: st, log: log, finder: finder, redact: q.c.config.Redact, hide: !q.access.Data}
	return nil
}

// source is the store of a tenant as a client may see it.
type source struct {
	store  store.Store
	log    store.Log
	finder store.Finder // nil: there is none
	redact func(*store.Recorded)
	hide   bool // the client may not see payloads
}

// shown reduces events to what the client may see.
func (s *source) shown(events []store.Recorded) {
	for i := range events {
		if s.redact != nil {
			s.redact(&events[i])
		}
		if s.hide {
			events[i].Data, events[i].Value = nil, nil
		}
	}
}

func (s *source) read(ctx context.Context, stream store.Stream, o store.ReadOptions) (store.Page, error) {
	page, err := s.store.Read(ctx, stream, o)
	s.shown(page.Events)
	return page, err
}

func (s *source) readAll(ctx context.Context, o store.LogOptions) (store.Page, error) {
	page, err := s.log.ReadAll(ctx, o)
	s.shown(page.Events)
	return page, err
}

// at returns the event at a position, or false if there is none.
func (s *source) at(ctx context.Context, position uint64) (store.Recorded, bool, error) {
	page, err := s.readAll(ctx, store.LogOptions{From: position, Limit: 1})
	if err != nil || position == 0 || len(page.Events) == 0 || page.Events[0].Position != position {
		return store.Recorded{}, false, err
	}
	return page.Events[0], true, nil
}

// find returns the event with an id. Without a finder it searches only the newest events.
func (s *source) find(ctx context.Context, id string) (store.Recorded, bool, error) {
	if store.ValidateEventID(id) != nil {
		return store.Recorded{}, false, nil //nolint:nilerr // no event has such an id
	}
	if s.finder != nil {
		event, found, err := s.finder.FindEvent(ctx, id)
		if found {
			one := []store.Recorded{event}
			s.shown(one)
			event = one[0]
		}
		return event, found, err
	}
	var event store.Recorded
	found := false
	_, err := s.scan(ctx, store.LogOptions{Backward: true}, func(e *store.Recorded) bool {
		if e.ID == id {
			event, found = *e, true
		}
		return !found
	})
	return event, found, err
}

// scan calls each for events of the log, until it returns false, the log ends or maxScan
// positions were read. It returns where to continue, or 0 if there is nothing more.
func (s *source) scan(ctx context.Context, o store.LogOptions, each func(*store.Recorded) bool) (next uint64, err error) {
	looked := uint64(0)
	for {
		page, err := s.readAll(ctx, o)
		if err != nil {
			return 0, err
		}
		from := o.From
		if from == 0 || from > page.Head {
			from = 1
			if o.Backward {
				from = page.Head
			}
		}
		for i := range page.Events {
			if !each(&page.Events[i]) {
				return after(&page.Events[i], o.Backward), nil
			}
		}
		if page.End {
			return 0, nil
		}
		looked += max(from, page.Next) - min(from, page.Next)
		o.From = page.Next
		if looked >= maxScan {
			return o.From, nil
		}
	}
}

// after returns the position where a scan continues after e.
func after(e *store.Recorded, backward bool) uint64 {
	if backward {
		return e.Position - 1
	}
	return e.Position + 1
}

// goOn runs do in a goroutine, at the latest until the console is closed.
func (c *Console) goOn(do func()) {
	c.active.Add(1)
	run := func() {
		defer c.active.Add(-1)
		do()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed { // its context has ended, or is about to
		go run()
		return
	}
	c.running.Go(run)
}

// background returns a context that ends with that of the request, or with the console.
func (q *request) background() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(q.r.Context())
	stop := context.AfterFunc(q.c.stopped, cancel)
	return ctx, func() { stop(); cancel() }
}
