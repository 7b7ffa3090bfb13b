package server

import (
	"context"
	"crypto/x509"
	"errors"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

var errNoCertificate = errors.New("store/grpc/server: no verified client certificate")

// ClientCertificates identifies a client by its certificate. The TLS configuration of
// the gRPC server must verify it (tls.VerifyClientCertIfGiven or
// tls.RequireAndVerifyClientCert): a certificate that was not verified identifies
// nobody. If identify is nil, the subject's O= values are the tenants that the client
// may use, and its CN= is the name.
func ClientCertificates(identify func(cert *x509.Certificate) (Identity, error)) Authenticator {
	if identify == nil {
		identify = func(cert *x509.Certificate) (Identity, error) {
			return Identity{Name: cert.Subject.CommonName, Tenants: cert.Subject.Organization}, nil
		}
	}
	return certificates(identify)
}

type certificates func(cert *x509.Certificate) (Identity, error)

func (c certificates) Authenticate(ctx context.Context) (Identity, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return Identity{}, errNoCertificate
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return Identity{}, errNoCertificate
	}
	return c(info.State.VerifiedChains[0][0])
}
