package grpc_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"strings"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/internal/wiretest"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
)

// wireRefused returns the detail of a status that says that a store refuses to write.
func wireRefused() *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{"refused": structpb.NewBoolValue(true)}}
}

// TestTokenThatIsNone checks that a value that cannot be sent as a token is refused,
// and not shown.
func TestTokenThatIsNone(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]string{
		"two lines": "hunter2\nhunter3", "a line break": "hunter2\n", "a space": "hunter 2", "a tab": "hunter\t2",
		"NUL": "hunter\x002", "not ASCII": "hunter²", "nothing": "",
	} {
		_, err := grpc.Open(t.Context(), "127.0.0.1:1", grpc.Plaintext(), grpc.Bearer(token))
		invalid, ok := errors.AsType[*store.InvalidError](err)
		if !ok || invalid.Field != "token" || strings.Contains(err.Error(), "hunter") {
			t.Errorf("Open with a token of %s = %v, want an *InvalidError that does not reveal it", name, err)
		}
		if name == "two lines" && !strings.Contains(err.Error(), "a token is one line") {
			t.Errorf("Open with a token of %s = %v, want an error that a token is one line", name, err)
		}
	}
}

// TestTokenOfAnyCharacters checks that the first and the last character that a token may
// have are sent.
func TestTokenOfAnyCharacters(t *testing.T) {
	t.Parallel()
	const token = "!hunter2~"
	got := make(chan string, 1)
	addr := listen(t, server.New(memory.New(), server.WithAuthenticator(server.BearerTokens(
		func(_ context.Context, token string) (server.Identity, error) {
			got <- token
			return server.Identity{AnyTenant: true}, nil
		}))))
	open(t, addr, grpc.Bearer(token))
	if got := <-got; got != token {
		t.Errorf("the server got the token %q, want %q", got, token)
	}
}

// TestPortThatIsMissing checks that a host without a port is refused, unless it uses
// TLS, because gRPC would use the port of HTTPS.
func TestPortThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.1:"} {
		_, err := grpc.Open(t.Context(), target, grpc.Plaintext())
		invalid, ok := errors.AsType[*store.InvalidError](err)
		if !ok || invalid.Field != "target" || !strings.Contains(err.Error(), "port is missing") {
			t.Errorf("Open(%q) = %v, want an error that the port is missing", target, err)
		}
	}
	addr := listen(t, server.New(memory.New()))
	for _, target := range []string{addr, "dns:///" + addr, "passthrough:///" + addr} {
		st, err := grpc.Open(t.Context(), target, grpc.Plaintext())
		if err != nil {
			t.Errorf("Open(%q) = %v", target, err)
			continue
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}
}

// tlsConfig returns a configuration for a server, and for clients that trust it.
func tlsConfig(t *testing.T) *tls.Config {
	t.Helper()
	ours := wiretest.NewAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ours.Cert)
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, Certificates: []tls.Certificate{ours.Issue(t, pkix.Name{CommonName: "server"})}}
}

// TestPortOfTLS checks that TLS uses the port of HTTPS if the target has none.
func TestPortOfTLS(t *testing.T) {
	t.Parallel()
	conf := tlsConfig(t)
	addr := listen(t, server.New(memory.New()), gogrpc.Creds(credentials.NewTLS(conf)))
	asked := make(chan string, 1)
	st, err := grpc.Open(t.Context(), "127.0.0.1", grpc.TLS(conf), grpc.DialOptions(gogrpc.WithContextDialer(
		func(ctx context.Context, target string) (net.Conn, error) {
			asked <- target
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		})))
	if err != nil {
		t.Fatalf("Open of a target without a port = %v", err)
	}
	if got := <-asked; got != "127.0.0.1:443" {
		t.Errorf("Open connected to %s, want port 443", got)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}

// TestTLSOnOneSideOnly connects without TLS to a server with TLS, and the other way
// round.
func TestTLSOnOneSideOnly(t *testing.T) {
	t.Parallel()
	conf := tlsConfig(t)
	encrypted := listen(t, server.New(memory.New()), gogrpc.Creds(credentials.NewTLS(conf)))
	plain := listen(t, server.New(memory.New()))
	for _, tt := range []struct {
		addr   string
		option grpc.Option
		want   string
	}{{encrypted, grpc.Plaintext(), "is it grpcs://?"}, {plain, grpc.TLS(conf), "is it grpc://?"}} {
		_, err := grpc.Open(t.Context(), tt.addr, tt.option)
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open = %v, want the code Unavailable and %q", err, tt.want)
		}
	}
	h := &house{tb: t}
	h.start(newForeign())
	h.stop()
	for _, option := range []grpc.Option{grpc.Plaintext(), grpc.TLS(conf)} {
		if _, err := grpc.Open(t.Context(), h.addr, option); err == nil || strings.Contains(err.Error(), "is it") {
			t.Errorf("Open without a server = %v, want no hint about TLS", err)
		}
	}
}
