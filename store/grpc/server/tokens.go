package server

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
)

var (
	errNoToken      = errors.New("store/grpc/server: no bearer token, or more than one")
	errUnknownToken = errors.New("store/grpc/server: unknown bearer token")
)

// BearerTokens identifies a client by the token in the metadata "authorization: Bearer
// TOKEN" (RFC 6750). verify returns the owner of the token, with errors as in
// [Authenticator.Authenticate]. Tokens are secrets: use TLS.
func BearerTokens(verify func(ctx context.Context, token string) (Identity, error)) Authenticator {
	return bearer(verify)
}

type bearer func(ctx context.Context, token string) (Identity, error)

func (b bearer) Authenticate(ctx context.Context) (Identity, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return Identity{}, errNoToken
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return Identity{}, errNoToken
	}
	return b(ctx, token)
}

// ReadTokens returns an authenticator for the bearer tokens in a list. Each line is
//
//	NAME TENANTS SHA256 [RIGHT]
//
// TENANTS is a list separated by commas, or "*" for all. SHA256 is the hash of the
// token in hexadecimal digits, as printed by `printf %s "$TOKEN" | sha256sum` or
// `eventstored hash-token`. RIGHT is what the client may do in a console: read, data or
// act; it has no effect on RPCs. Empty lines and lines that begin with "#" are skipped.
// An error names the line.
func ReadTokens(list io.Reader) (Authenticator, error) {
	known := make(map[digest]Identity)
	lines := bufio.NewScanner(list)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		token, identity, err := parseToken(line)
		if err != nil {
			return nil, fmt.Errorf("store/grpc/server: tokens, line %d: %w", n, err)
		}
		if _, ok := known[token]; ok {
			return nil, fmt.Errorf("store/grpc/server: tokens, line %d: the token is already in the list", n)
		}
		known[token] = identity
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("store/grpc/server: tokens: %w", err)
	}
	return bearer(func(_ context.Context, token string) (Identity, error) {
		identity, ok := known[sha256.Sum256([]byte(token))]
		if !ok {
			return Identity{}, errUnknownToken
		}
		return identity, nil
	}), nil
}

func parseToken(line string) (token digest, identity Identity, err error) {
	fields := strings.Fields(line)
	if len(fields) != 3 && len(fields) != 4 {
		return token, identity, fmt.Errorf("has %d fields, want NAME TENANTS SHA256 and optionally RIGHT", len(fields))
	}
	sum, err := hex.DecodeString(fields[2])
	if err != nil || len(sum) != len(token) {
		return token, identity, errors.New("SHA256 is not 64 hexadecimal digits")
	}
	copy(token[:], sum)
	identity = Identity{Name: fields[0], AnyTenant: fields[1] == "*"}
	if len(fields) == 4 {
		if identity.Right = fields[3]; !slices.Contains([]string{RightRead, RightData, RightAct}, identity.Right) {
			return token, identity, fmt.Errorf("RIGHT is %q, not read, data or act", identity.Right)
		}
	}
	if identity.AnyTenant {
		return token, identity, nil
	}
	identity.Tenants = strings.Split(fields[1], ",")
	for _, tenant := range identity.Tenants {
		if tenant == "" || tenant == "*" {
			return token, identity, fmt.Errorf("%q is not a list of tenants", fields[1])
		}
	}
	return token, identity, nil
}
