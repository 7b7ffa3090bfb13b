package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store/grpc/server"
)

// watchEvery is how often the files are checked for changes.
const watchEvery = 10 * time.Second

// keeper holds the credentials of clients and of this server, which it reads from
// files. It reads the files again when they change. It is safe for concurrent use.
type keeper struct {
	*settings
	current atomic.Pointer[secrets]
}

// secrets is the content of the files.
type secrets struct {
	tls  *tls.Config // nil without TLS
	auth either      // empty: every client is trusted
}

func newKeeper(s *settings) (*keeper, error) {
	k := &keeper{settings: s}
	err := k.load()
	return k, err
}

// load reads the files. If one of them cannot be used, it keeps what it read before.
func (k *keeper) load() error {
	next := &secrets{}
	var err error
	if next.tls, err = k.readTLS(); err != nil {
		return err
	}
	if next.auth, err = k.readAuth(); err != nil {
		return err
	}
	k.current.Store(next)
	return nil
}

// watch reads the files again on hangup, and when one of them changes, until ctx ends.
func (k *keeper) watch(ctx context.Context, logger *slog.Logger, hangup <-chan os.Signal) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for was := k.stamps(); ; {
		why := "SIGHUP"
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-tick.C:
			if k.stamps() == was {
				continue
			}
			why = "a file has changed"
		}
		was = k.stamps() // taken before reading, so that a change in between is noticed next time
		if err := k.load(); err != nil {
			logger.ErrorContext(ctx, "tokens and certificates stay as they were", "because", why, "error", err)
			continue
		}
		logger.InfoContext(ctx, "read tokens and certificates", "because", why)
	}
}

// stamp tells whether a file has changed.
type stamp struct {
	changed time.Time
	size    int64
	err     string
}

// stamps returns the stamps of the files.
func (k *keeper) stamps() (stamps [4]stamp) {
	for i, name := range [...]string{k.cert, k.key, k.clientCA, k.tokens} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			stamps[i].err = err.Error()
			continue
		}
		stamps[i] = stamp{changed: info.ModTime(), size: info.Size()}
	}
	return stamps
}

// readTLS returns the TLS configuration of connections, or nil if they do not use TLS.
func (k *keeper) readTLS() (*tls.Config, error) {
	if k.cert == "" {
		return nil, nil //nolint:nilnil // nil is a valid result
	}
	cert, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return nil, fmt.Errorf("-tls-cert and -tls-key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if k.clientCA != "" {
		if c.ClientCAs, err = certificates(k.clientCA); err != nil {
			return nil, fmt.Errorf("-client-ca: %w", err)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
		if k.tokens != "" { // one of the two is enough
			c.ClientAuth = tls.VerifyClientCertIfGiven
		}
	}
	return c, nil
}

// serverTLS returns the configuration of a server that speaks one of protocols. Each
// handshake uses the current files.
func (k *keeper) serverTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := k.current.Load().tls.Clone()
			c.NextProtos = protocols
			return c, nil
		},
	}
}

// certificates returns the certificates in a file.
func certificates(name string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(name) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate", name)
	}
	return pool, nil
}

// readAuth returns the authenticators of clients, or none if every client is trusted.
func (k *keeper) readAuth() (either, error) {
	var all either
	if k.clientCA != "" {
		all = append(all, server.ClientCertificates(nil))
	}
	if k.tokens != "" {
		list, err := os.Open(k.tokens) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("-tokens: %w", err)
		}
		defer list.Close()
		tokens, err := server.ReadTokens(list)
		if err != nil {
			return nil, fmt.Errorf("-tokens: %s: %w", k.tokens, err)
		}
		all = append(all, tokens)
	}
	return all, nil
}

// Authenticate is [server.Authenticator.Authenticate], with the current content of the
// files.
func (k *keeper) Authenticate(ctx context.Context) (server.Identity, error) {
	return k.current.Load().auth.Authenticate(ctx)
}

// either accepts a client that one of its members accepts.
type either []server.Authenticator

// Authenticate is [server.Authenticator.Authenticate].
func (e either) Authenticate(ctx context.Context) (identity server.Identity, err error) {
	for _, a := range e {
		if identity, err = a.Authenticate(ctx); err == nil {
			return identity, nil
		}
	}
	return server.Identity{}, err
}
