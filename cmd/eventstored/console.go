package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/open"
)

// consoleCommand serves a console for a store until ctx ends.
func consoleCommand(ctx context.Context, args []string, e env) error {
	var of source
	f := flags("console")
	f.StringVar(&of.url, "store", defaultStore, "the `URL` of the store: sqlite:FILE, postgres://… or grpc://HOST:PORT")
	tenant := f.String("tenant", "", "the `ID` of the tenant in the printed address")
	listen := f.String("listen", "127.0.0.1:8089", "serve on this `address`, which must be a loopback one")
	if _, err := parseFlags(e, f, args, 0, 0); err != nil {
		return err
	}
	if !isLoopback(*listen) {
		return fmt.Errorf("%w: -listen %q is not a loopback address: to serve other machines, use serve -admin with -tokens or -client-ca", errUsage, *listen)
	}
	return of.reading(ctx, func(st open.Backend) error {
		var network net.ListenConfig
		lis, err := network.Listen(ctx, "tcp", *listen)
		if err != nil {
			return fmt.Errorf("-listen: %w", err)
		}
		logger := slog.New(slog.NewTextHandler(e.stderr, nil))
		c := console.New(console.Config{Store: st, ReadSide: readSideOf(st), Logger: logger})
		defer c.Close()
		address := "http://" + lis.Addr().String() + "/"
		if *tenant != "" {
			address += "?tenant=" + url.QueryEscape(*tenant)
		}
		fmt.Fprintf(e.stdout, "%s\n", address)
		s := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
		defer context.AfterFunc(ctx, func() { _ = s.Close() })()
		if err := s.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

// console returns the console for the address of -admin.
func (a *admin) console(local bool) *console.Console {
	config := console.Config{Store: a.backend, ReadSide: readSideOf(a.backend), Audit: a.audit, Logger: a.logger}
	if !local {
		config.Access = a.access
	}
	if a.tokens != "" {
		config.Login = func(ctx context.Context, token string) (console.Access, error) {
			return a.accessOf(metadata.NewIncomingContext(ctx, metadata.Pairs("authorization", "Bearer "+token)))
		}
	}
	return console.New(config)
}

// access returns what the client of r may see. If every client is trusted, each may see
// everything, as over gRPC.
func (a *admin) access(r *http.Request) (console.Access, error) {
	if a.open() {
		return console.Access{Name: "anybody", AnyTenant: true, Data: true}, nil
	}
	return a.accessOf(withCredentials(r.Context(), r))
}

// accessOf returns what the client with the credentials of ctx may see.
func (a *admin) accessOf(ctx context.Context) (console.Access, error) {
	identity, err := a.keeper.Authenticate(ctx)
	if err != nil {
		return console.Access{}, console.ErrUnauthenticated
	}
	return console.Access{
		Name: identity.Name, Tenants: identity.Tenants, AnyTenant: identity.AnyTenant,
		Data: identity.Right != server.RightRead, Act: identity.Right == server.RightAct,
	}, nil
}

// withCredentials returns ctx with the credentials of r, in the place where an
// authenticator looks for them.
func withCredentials(ctx context.Context, r *http.Request) context.Context {
	ctx = metadata.NewIncomingContext(ctx, metadata.MD{"authorization": r.Header.Values("Authorization")})
	if r.TLS != nil {
		ctx = peer.NewContext(ctx, &peer.Peer{AuthInfo: credentials.TLSInfo{State: *r.TLS}})
	}
	return ctx
}

// readSideOf returns the projections and processes that keep their records in st, for a
// console. It returns nil if st cannot keep any.
func readSideOf(st open.Backend) func(context.Context, string) ([]console.Projection, []console.Process, error) {
	if _, err := targetOf(st); err != nil {
		return nil
	}
	return func(ctx context.Context, tenant string) (ps []console.Projection, qs []console.Process, err error) {
		view, err := st.Tenant(tenant)
		if err != nil {
			return nil, nil, err
		}
		of, err := asBackend(view)
		if err != nil {
			return nil, nil, err
		}
		t, err := targetOf(of)
		if err != nil {
			return nil, nil, err
		}
		builds, err := projectionBuilds(ctx, t)
		if err != nil {
			return nil, nil, err
		}
		for _, b := range builds {
			ps = append(ps, &kept{b, t})
		}
		builds, err = processBuilds(ctx, t)
		for _, b := range builds {
			qs = append(qs, &keptProcess{b, t})
		}
		return ps, qs, err
	}
}

// kept is a projection, as far as its records in a store tell.
type kept struct {
	is buildRow
	in target
}

// Progress is [console.Projection.Progress].
func (k *kept) Progress() projection.Progress {
	return projection.Progress{
		Build: k.is.Build, State: projection.State(k.is.State), Position: k.is.Position, Head: k.is.Position + k.is.Lag, Parked: k.is.Parked, Ready: k.is.State != "building",
	}
}

// Parked is [console.Projection.Parked].
func (k *kept) Parked(ctx context.Context) ([]projection.Parked, error) {
	rows, err := parkedKeys(ctx, k.in, k.is.Build)
	all := make([]projection.Parked, len(rows))
	for i, r := range rows {
		all[i] = projection.Parked{Key: r.ID, Position: r.Position, Cause: r.Cause, Since: r.Since, Attempts: r.Attempts}
	}
	return all, err
}

// Unpark is [console.Projection.Unpark]. It needs the handlers of the program.
func (k *kept) Unpark(context.Context, string) error {
	return fmt.Errorf("only a program with the handlers of %s can retry its events: call Unpark there, or mount its console", k.is.Build)
}

// keptProcess is a process, as far as its records in a store tell.
type keptProcess struct {
	is buildRow
	in target
}

// Progress is [console.Process.Progress].
func (k *keptProcess) Progress() process.Progress {
	return process.Progress{
		Process: k.is.Build, State: process.State(k.is.State), Position: k.is.Position, Head: k.is.Position + k.is.Lag,
		Waiting: k.is.Waiting - k.is.Quarantined, Quarantined: k.is.Quarantined,
	}
}

// Instances is [console.Process.Instances], for waiting instances only.
func (k *keptProcess) Instances(ctx context.Context, keep func(process.Instance) bool) ([]process.Instance, error) {
	rows, err := waitingInstances(ctx, k.in, k.is.Build)
	var all []process.Instance
	for _, r := range rows {
		i := process.Instance{ID: r.ID, Position: r.Position, Waiting: &process.InstanceError{
			Process: k.is.Build, Instance: r.ID, Position: r.Position, Cause: r.Cause, Since: r.Since, Attempts: r.Attempts, Quarantined: r.Quarantined,
		}}
		if keep == nil || keep(i) {
			all = append(all, i)
		}
	}
	return all, err
}

func (k *keptProcess) amend(ctx context.Context, do func(amender) error) error {
	return onTarget(ctx, k.in, k.is.Build, desk{process: do})
}

// Release is [console.Process.Release].
func (k *keptProcess) Release(ctx context.Context, instance string) error {
	return k.amend(ctx, func(p amender) error { return p.Release(ctx, instance) })
}

// Skip is [console.Process.Skip].
func (k *keptProcess) Skip(ctx context.Context, instance string, position uint64) error {
	return k.amend(ctx, func(p amender) error { return p.Skip(ctx, instance, position) })
}

// Abandon is [console.Process.Abandon].
func (k *keptProcess) Abandon(ctx context.Context, instance string) error {
	return k.amend(ctx, func(p amender) error { return p.Abandon(ctx, instance) })
}
