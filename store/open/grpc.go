package open

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"

	"github.com/evolvego/evolve/store/grpc"
)

// openPlain opens a server without TLS, openTLS one over it.
func openPlain(ctx context.Context, a *address) (Backend, error) {
	return openGRPC(ctx, a, grpc.Plaintext())
}

func openTLS(ctx context.Context, a *address) (Backend, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca := a.take("ca", ""); ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // the user says which file
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: ca: %s has no certificate", ErrURL, ca)
		}
	}
	cert, key := a.take("cert", ""), a.take("key", "")
	if (cert == "") != (key == "") {
		return nil, fmt.Errorf("%w: cert and key: one without the other", ErrURL)
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
		return nil, fmt.Errorf("%w: after the scheme comes //HOST:PORT, and a user's token is in the file that token-file names", ErrURL)
	}
	if name := a.take("token-file", ""); name != "" {
		token, err := os.ReadFile(name) //nolint:gosec // the user says which file
		if err != nil {
			return nil, fmt.Errorf("token-file: %w", err)
		}
		options = append(options, grpc.PerRPC(bearer(strings.TrimSpace(string(token)))))
	}
	if err := a.unknown(); err != nil {
		return nil, err
	}
	st, err := grpc.Open(ctx, target, append(options, grpc.Tenant(a.tenant))...)
	if err != nil {
		return nil, err // not st, which is a nil that would not look like one
	}
	return st, nil
}

// bearer is a token that goes with every request.
type bearer string

// GetRequestMetadata is that of credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is that of credentials.PerRPCCredentials. It is the user
// who chooses grpc: or grpcs:.
func (b bearer) RequireTransportSecurity() bool { return false }
