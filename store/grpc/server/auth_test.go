package server_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	pb "github.com/evolvego/evolve/store/grpc/eventstorev1"
	"github.com/evolvego/evolve/store/grpc/internal/wiretest"
	"github.com/evolvego/evolve/store/grpc/server"
)

const (
	noCredentials = "the credentials are missing or not valid"
	notAllowed    = "tenant_id 'other' is not allowed for these credentials"
)

func TestReadTokens(t *testing.T) {
	t.Parallel()
	sum := func(token string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(token))) }
	list := "# who may\n\nalice t,u " + sum("secret of alice") + "\n  root * " + strings.ToUpper(sum("secret of root")) + "  \n"
	tokens, err := server.ReadTokens(strings.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	var seen calls
	s := serveRaw(t, newMemory(t), server.WithAuthenticator(tokens), server.WithObserver(&seen))
	for name, tt := range map[string]struct {
		tenant  string
		header  []string
		code    codes.Code
		message string
	}{
		"alice":            {"t", []string{"Bearer secret of alice"}, codes.OK, ""},
		"another of hers":  {"u", []string{"bearer  secret of alice "}, codes.OK, ""},
		"not hers":         {"other", []string{"Bearer secret of alice"}, codes.PermissionDenied, notAllowed},
		"root":             {"other", []string{"Bearer secret of root"}, codes.OK, ""},
		"nothing":          {"t", nil, codes.Unauthenticated, noCredentials},
		"unknown":          {"t", []string{"Bearer secret"}, codes.Unauthenticated, noCredentials},
		"the digest":       {"t", []string{"Bearer " + sum("secret of alice")}, codes.Unauthenticated, noCredentials},
		"another scheme":   {"t", []string{"Basic secret of alice"}, codes.Unauthenticated, noCredentials},
		"no scheme":        {"t", []string{"secret of alice"}, codes.Unauthenticated, noCredentials},
		"empty":            {"t", []string{"Bearer "}, codes.Unauthenticated, noCredentials},
		"two":              {"t", []string{"Bearer x", "Bearer secret of alice"}, codes.Unauthenticated, noCredentials},
		"the same twice":   {"t", []string{"Bearer secret of alice", "Bearer secret of alice"}, codes.Unauthenticated, noCredentials},
		"no tenant at all": {"", nil, codes.Unauthenticated, "tenant_id is required on ReadAllRequest"},
	} {
		ctx := metadata.NewOutgoingContext(t.Context(), metadata.MD{"authorization": tt.header})
		_, err := s.ReadAll(ctx, &pb.ReadAllRequest{TenantId: tt.tenant})
		t.Log(name)
		wantStatus(t, err, tt.code, tt.message)
	}
	for _, call := range seen.ended {
		if want := call.Code == codes.OK || call.Code == codes.PermissionDenied; (call.Identity != "") != want {
			t.Errorf("%+v has the wrong identity", call)
		}
	}
}

// TestReadTokensRights reads the rights of clients in a console.
func TestReadTokensRights(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	for _, right := range []string{"", server.RightRead, server.RightData, server.RightAct} {
		fmt.Fprintf(&list, "me * %x %s\n", sha256.Sum256([]byte(strings.TrimSpace("token "+right))), right)
	}
	tokens, err := server.ReadTokens(strings.NewReader(list.String()))
	if err != nil {
		t.Fatal(err)
	}
	for _, right := range []string{"", server.RightRead, server.RightData, server.RightAct} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer token "+right))
		if got, err := tokens.Authenticate(ctx); err != nil || got.Right != right {
			t.Errorf("the right %q is parsed as %+v, %v", right, got, err)
		}
	}
}

func TestReadTokensRefuses(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0", 64)
	for list, want := range map[string]string{
		"alice":                            "line 1: has 1 fields",
		"\nalice t " + sum[1:]:             "line 2: SHA256",
		"alice t " + sum + "0":             "line 1: SHA256",
		"alice t x" + sum[1:]:              "line 1: SHA256",
		"alice t,,u " + sum:                "is not a list of tenants",
		"alice t,* " + sum:                 "is not a list of tenants",
		"a t " + sum + "\nb u " + sum:      "line 2: the token is already in the list",
		"a b t " + sum:                     "line 1: SHA256",
		"a t " + sum + " act now":          "has 5 fields",
		"a t " + sum + " write":            `RIGHT is "write"`,
		strings.Repeat("x", 1<<20) + "\na": "token too long",
	} {
		if _, err := server.ReadTokens(strings.NewReader(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadTokens(%.40q) = %v, want an error with %q", list, err, want)
		}
	}
}

// TestTokensAnyText reads arbitrary text as a list of tokens, and checks that only the
// tokens in it are accepted.
func TestTokensAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.StringOf(rapid.RuneFrom([]rune("a *,#\n0f"))).Draw(t, "list")
		tokens, err := server.ReadTokens(strings.NewReader(list))
		if err != nil {
			return
		}
		ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs("authorization", rapid.String().Draw(t, "header")))
		if identity, err := tokens.Authenticate(ctx); err == nil {
			t.Fatalf("%q admits %+v", list, identity)
		}
	})
}

func TestBearerTokens(t *testing.T) {
	t.Parallel()
	var logged lockedBuffer
	logger := server.WithLogger(slog.New(slog.NewTextHandler(&logged, nil)))
	s := serveRaw(t, newMemory(t), logger, server.WithAuthenticator(server.BearerTokens(
		func(_ context.Context, token string) (server.Identity, error) {
			if token == "busy" {
				return server.Identity{}, status.Error(codes.Unavailable, "the verifier is unavailable")
			}
			return server.Identity{}, errors.New("password=hunter2")
		})))
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer busy")
	_, err := s.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t"})
	wantStatus(t, err, codes.Unavailable, "the verifier is unavailable")
	ctx = metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer x")
	_, err = s.ReadAll(ctx, &pb.ReadAllRequest{TenantId: "t"})
	wantStatus(t, err, codes.Unauthenticated, noCredentials)
	if !strings.Contains(logged.String(), "hunter2") {
		t.Errorf("the log is %q, want the reason", logged.String())
	}
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ours, theirs := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ours.Cert)
	serverTLS := credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots,
		Certificates: []tls.Certificate{ours.Issue(t, pkix.Name{CommonName: "server"})},
	})
	lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	srv := server.New(newMemory(t), server.WithAuthenticator(server.ClientCertificates(nil)))
	go func() { done <- srv.Serve(ctx, lis, gogrpc.Creds(serverTLS)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})

	alice := pkix.Name{CommonName: "alice", Organization: []string{"t", "u"}}
	both := ours.Issue(t, alice)
	both.Certificate = append(both.Certificate, ours.Issue(t, pkix.Name{CommonName: "bob", Organization: []string{"other"}}).Certificate...)
	for name, tt := range map[string]struct {
		certificates []tls.Certificate
		tenant       string
		code         codes.Code
		message      string
	}{
		"one of hers": {[]tls.Certificate{ours.Issue(t, alice)}, "u", codes.OK, ""},
		"not hers":    {[]tls.Certificate{ours.Issue(t, alice)}, "other", codes.PermissionDenied, notAllowed},
		"not hers, with bob's certificate in the chain": {[]tls.Certificate{both}, "other", codes.PermissionDenied, notAllowed},
		"hers, with bob's certificate in the chain":     {[]tls.Certificate{both}, "t", codes.OK, ""},
		"no certificate":   {nil, "t", codes.Unauthenticated, noCredentials},
		"no organization":  {[]tls.Certificate{ours.Issue(t, pkix.Name{CommonName: "t"})}, "other", codes.PermissionDenied, notAllowed},
		"signed by others": {[]tls.Certificate{theirs.Issue(t, alice)}, "t", codes.Unavailable, "-"},
	} {
		s := served{address: lis.Addr().String()}
		client := pb.NewEventStoreClient(s.dial(t, gogrpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: tt.certificates,
		}))))
		_, err := client.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: tt.tenant})
		t.Log(name)
		if tt.message == "-" {
			tt.message = status.Convert(err).Message()
		}
		wantStatus(t, err, tt.code, tt.message)
	}
	if _, err := server.ClientCertificates(nil).Authenticate(t.Context()); err == nil {
		t.Error("a client without a connection was admitted")
	}
}

// TestCertificateThatNobodyVerified configures TLS to ask for certificates without
// verifying who signed them: they identify nobody.
func TestCertificateThatNobodyVerified(t *testing.T) {
	t.Parallel()
	ours, theirs := wiretest.NewAuthority(t), wiretest.NewAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(ours.Cert)
	alice := pkix.Name{CommonName: "alice", Organization: []string{"t"}}
	for _, mode := range []tls.ClientAuthType{tls.RequestClientCert, tls.RequireAnyClientCert} {
		for name, cert := range map[string]tls.Certificate{
			"signed by others": theirs.Issue(t, alice), "signed by itself": wiretest.Authority{}.Issue(t, alice), "signed by us": ours.Issue(t, alice),
		} {
			s := serveRaw(t, newMemory(t), server.WithAuthenticator(server.ClientCertificates(nil)))
			lis, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			g := gogrpc.NewServer(gogrpc.Creds(credentials.NewTLS(&tls.Config{
				MinVersion: tls.VersionTLS13, ClientAuth: mode,
				Certificates: []tls.Certificate{ours.Issue(t, pkix.Name{CommonName: "server"})},
			})))
			s.server.Register(g)
			done := make(chan error, 1)
			go func() { done <- g.Serve(lis) }()
			client := pb.NewEventStoreClient(served{address: lis.Addr().String()}.dial(t, gogrpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
				MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{cert},
			}))))
			_, err = client.ReadAll(t.Context(), &pb.ReadAllRequest{TenantId: "t"})
			if status.Code(err) != codes.Unauthenticated {
				t.Errorf("in mode %s, a certificate %s: %v, want UNAUTHENTICATED", mode, name, err)
			}
			g.Stop()
			if err := <-done; err != nil {
				t.Errorf("Serve = %v", err)
			}
		}
	}
}
