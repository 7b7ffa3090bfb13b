package grpc_test

import (
	"testing"

	"github.com/evolvego/evolve/store/storetest"
)

func TestClientOfOurServer(t *testing.T) {
	t.Parallel()
	storetest.Run(t, openMemory)
}
