package open

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/evolvego/evolve/store/grpc"
)

// openPlain opens a store on a server without TLS, openTLS on one with TLS.
func openPlain(ctx context.Context, a *address) (Backend, error) {
	return openGRPC(ctx, a, grpc.Plaintext())
}

func openTLS(ctx context.Context, a *address) (Backend, error) {
	values, err := a.takeAll("ca", "cert", "key")
	if err != nil {
		return nil, err
	}
	ca, cert, key := values[0], values[1], values[2]
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // the user says which file
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, mistakef("ca: %s has no certificate", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, mistake("cert and key: one without the other")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return openGRPC(ctx, a, grpc.TLS(conf))
}

func openGRPC(ctx context.Context, a *address, options ...grpc.Option) (Backend, error) {
	target, found := strings.CutPrefix(a.rest, "//")
	target = strings.TrimSuffix(target, "/")
	if !found || target == "" || strings.ContainsAny(target, "/@") {
		return nil, mistake("after the scheme comes //HOST:PORT; for a user's token, use token-file=FILE")
	}
	if _, port, err := net.SplitHostPort(target); err != nil || port == "" {
		return nil, mistakef("the port is missing: write %s://HOST:PORT", a.scheme)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, mistake("the port is not a number")
	}
	name, err := a.take("token-file", "")
	if err != nil {
		return nil, err
	}
	if name != "" {
		token, err := os.ReadFile(name) //nolint:gosec // the user says which file
		if err != nil {
			return nil, fmt.Errorf("token-file: %w", err)
		}
		options = append(options, grpc.Bearer(strings.TrimSpace(string(token))))
	}
	if err := a.unknown(); err != nil {
		return nil, err
	}
	st, err := grpc.Open(ctx, target, append(options, grpc.Tenant(a.tenant))...)
	if err != nil {
		return nil, err // not st, which would be a non-nil interface that holds nil
	}
	return st, nil
}
