package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/jetstream"
	"github.com/evolvego/evolve/store/open"
	"github.com/evolvego/evolve/store/postgres"
)

// memoryGC is the GOGC of a server whose events are in its memory. The default would let
// garbage take as much memory as the events.
const memoryGC = 50

// serve serves a store until ctx ends.
func serve(ctx context.Context, args []string, e env) error {
	s, err := serveSettings("serve", args, e)
	if err != nil {
		return err
	}
	k, err := newKeeper(&s)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: s.logLevel}))
	st, err := open.Store(ctx, s.url)
	if err != nil {
		return err
	}
	if strings.HasPrefix(s.url, "memory:") && e.getenv("GOGC") == "" {
		debug.SetGCPercent(memoryGC)
	}
	return errors.Join(s.serve(ctx, st, k, logger), st.Close())
}

// serve listens, and serves st until ctx ends.
func (s *settings) serve(ctx context.Context, st open.Backend, k *keeper, logger *slog.Logger) error {
	m := newMetrics(st) //nolint:contextcheck // it outlives the call
	served := st
	var transport []gogrpc.ServerOption
	if s.traces {
		t, err := newTraces(ctx)
		if err != nil {
			return err
		}
		defer t.close(ctx, logger)
		if served, err = t.backend(st); err != nil {
			return err
		}
		transport = append(transport, t.server())
	}
	options := []server.Option{server.WithLogger(logger), server.WithObserver(m)}
	if !s.open() {
		options = append(options, server.WithAuthenticator(k))
	}
	if s.largeEvents {
		options = append(options, server.WithLargeEvents())
	}
	if s.cert != "" {
		transport = append(transport, gogrpc.Creds(credentials.NewTLS(k.serverTLS("h2"))))
	}
	var listen net.ListenConfig
	lis, err := listen.Listen(ctx, "tcp", s.listen)
	if err != nil {
		return fmt.Errorf("%s: %w", s.listenBy, err)
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if s.admin != "" {
		adminLis, err := listen.Listen(ctx, "tcp", s.admin)
		if err != nil {
			return errors.Join(fmt.Errorf("-admin: %w", err), lis.Close())
		}
		a := &admin{settings: s, keeper: k, metrics: m, backend: st, logger: logger}
		logger.InfoContext(ctx, "admin", "address", adminLis.Addr().String())
		ended := make(chan struct{})
		defer close(ended)
		beside.Go(func() { a.serve(ctx, adminLis, ended) })
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	beside.Go(func() { k.watch(ctx, logger, hangup) })
	if s.open() {
		logger.WarnContext(ctx, "no -tokens and no -client-ca: every client may use every tenant")
	}
	logger.InfoContext(ctx, "serving", "address", lis.Addr().String(), "tls", s.cert != "", "store", s.shownStore(), "version", buildVersion(), "traces", s.traces)
	err = server.New(served, options...).Serve(ctx, lis, transport...)
	logger.InfoContext(context.WithoutCancel(ctx), "stopped")
	return err
}

// check checks the settings of serve, the files that they name, and the store. It
// changes nothing.
func check(ctx context.Context, args []string, e env) error {
	s, err := serveSettings("check", args, e)
	if err != nil {
		return err
	}
	if _, err := newKeeper(&s); err != nil {
		return err
	}
	state := "can be opened"
	st, err := open.ReadOnly(ctx, s.url)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, postgres.ErrNoSchema), errors.Is(err, jetstream.ErrNoStream):
		state = "does not exist yet: serve creates it"
	case err != nil:
		return err
	default:
		_, err := st.Head(ctx)
		if err := errors.Join(err, st.Close()); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.stdout, "settings: ok\nstore:    %s %s\n", s.shownStore(), state)
	return nil
}
