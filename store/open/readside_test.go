package open_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store/grpc"
	"github.com/evolvego/evolve/store/grpc/server"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
	"github.com/evolvego/evolve/store/sqlite"
)

// remote returns a log behind gRPC, on connections in memory.
func remote(t *testing.T) *grpc.Store {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.New(memory.New()).Serve(ctx, lis) }()
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }
	st, err := grpc.Open(t.Context(), "passthrough:///memory", grpc.Plaintext(), grpc.DialOptions(gogrpc.WithContextDialer(dial)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return st
}

func sqliteTarget(t *testing.T) *sqlite.Store {
	t.Helper()
	return openURL(t, "sqlite:"+filepath.Join(t.TempDir(), "models.db")).(*sqlite.Store) //nolint:errcheck,forcetypeassert // it is
}

// TestRemoteProjections runs the suite of projections with a log behind gRPC and read
// models in SQLite and in PostgreSQL.
func TestRemoteProjections(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		projectiontest.Run(t, func(t *testing.T) projectiontest.World[*sqlite.Tx] {
			t.Helper()
			return projectiontest.World[*sqlite.Tx]{Store: remote(t), Target: sqliteTarget(t)}
		})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		url := postgrestest.URL(t)
		var schemas atomic.Int64
		projectiontest.Run(t, func(t *testing.T) projectiontest.World[*postgres.Tx] {
			t.Helper()
			target := openURL(t, fmt.Sprintf("%s&schema=s%d", url, schemas.Add(1))).(*postgres.Store) //nolint:errcheck,forcetypeassert // it is
			return projectiontest.World[*postgres.Tx]{Store: remote(t), Target: target}
		})
	})
}

// TestRemoteProcesses runs the suite of processes with a log behind gRPC, and what they
// remember in SQLite.
func TestRemoteProcesses(t *testing.T) {
	t.Parallel()
	processtest.Run(t, func(t *testing.T) processtest.Setup[*sqlite.Tx] {
		t.Helper()
		return processtest.Setup[*sqlite.Tx]{Log: remote(t), Target: sqliteTarget(t), Sparse: true}
	})
}
