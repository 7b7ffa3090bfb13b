package server

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Identity is who a client is, and what it may use.
type Identity struct {
	Name      string   // for logs; never a secret
	Tenants   []string // the tenants it may use
	AnyTenant bool     // it may use every tenant
	Right     string   // what the client may do in a console: RightRead, RightData or RightAct; the server ignores it
}

// Rights of a client in a console that shows the store. An empty right means RightData.
const (
	RightRead = "read" // may see events without their payloads
	RightData = "data" // may see everything
	RightAct  = "act"  // may also retry, release, skip and abandon
)

// Authenticator identifies clients. It must be safe for concurrent use.
type Authenticator interface {
	// Authenticate returns the identity for the credentials of the RPC with this context:
	// its metadata and its peer. An error that is a gRPC status is sent to the client; any
	// other error is logged, and the client gets UNAUTHENTICATED.
	Authenticate(ctx context.Context) (Identity, error)
}

// authorize returns an error unless the client of c may see its tenant.
func (s *Server) authorize(ctx context.Context, c *Call) error {
	if s.auth == nil {
		return nil
	}
	identity, err := s.auth.Authenticate(ctx)
	if err != nil {
		if _, ok := status.FromError(err); ok {
			return err
		}
		s.logger.WarnContext(ctx, "unauthenticated", "method", c.Method, "error", err)
		return status.Error(codes.Unauthenticated, "the credentials are missing or not valid")
	}
	c.Identity = identity.Name
	if !identity.AnyTenant && !slices.Contains(identity.Tenants, c.Tenant) {
		return answerf(codes.PermissionDenied, "tenant_id '%s' is not allowed for these credentials", c.Tenant)
	}
	return nil
}
