package main

import (
	"context"
	"fmt"
	"os"

	"github.com/evolvego/evolve/store/grpc/server"
)

// authenticator returns what says who calls, nil if everybody is trusted.
func (s *settings) authenticator() (server.Authenticator, error) {
	var all either
	if s.clientCA != "" {
		all = append(all, server.ClientCertificates(nil))
	}
	if s.tokens != "" {
		list, err := os.Open(s.tokens) //nolint:gosec // the user says which file
		if err != nil {
			return nil, fmt.Errorf("-tokens: %w", err)
		}
		defer list.Close()
		tokens, err := server.ReadTokens(list)
		if err != nil {
			return nil, fmt.Errorf("-tokens: %s: %w", s.tokens, err)
		}
		all = append(all, tokens)
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // none is an answer
	}
	return all, nil
}

// either lets in whom one of its members lets in.
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
