package grpc_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

func TestClientOfOurServer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openMemory)
}

// unwritable is a store that can be told to refuse appends, like a store without space.
type unwritable struct {
	*memory.Store

	refuses *atomic.Bool
}

func (s unwritable) Tenant(string) (store.Store, error) { return s, nil }

func (s unwritable) Append(ctx context.Context, stream store.Stream, expected store.Expected, events []store.Event) (store.Appended, error) {
	if s.refuses.Load() {
		return store.Appended{}, fmt.Errorf("%w: no space", store.ErrRefused)
	}
	return s.Store.Append(ctx, stream, expected, events)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	storetest.RunRefused(t, func(t *testing.T) (store.Store, func(bool)) {
		t.Helper()
		backend := unwritable{memory.New(), new(atomic.Bool)}
		return open(t, listen(t, server.New(backend))), backend.refuses.Store
	})
}
