package postgres_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// pooler assigns connections to a server for single transactions, a different one each
// time, as PgBouncer does in transaction mode.
type pooler struct {
	servers chan *pgconn.HijackedConn
	lent    atomic.Int64
}

// startPooler returns the URL of the database at url through a pooler.
func startPooler(t *testing.T, url string) (string, *pooler) {
	t.Helper()
	p := &pooler{servers: make(chan *pgconn.HijackedConn, 3)}
	for range cap(p.servers) {
		conn, err := pgconn.Connect(context.Background(), url)
		if err != nil {
			t.Fatal(err)
		}
		server, err := conn.Hijack()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Conn.Close() })
		p.servers <- server
	}
	dir := t.TempDir()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer client.Close()
				_ = p.serve(client) // until the client leaves
			})
		}
	})
	return "postgres:///any?user=any&host=" + dir, p
}

// serve serves one client.
func (p *pooler) serve(conn net.Conn) error {
	client := pgproto3.NewBackend(conn, conn)
	if _, err := client.ReceiveStartupMessage(); err != nil {
		return err
	}
	client.Send(&pgproto3.AuthenticationOk{})
	client.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	client.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	client.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	client.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if err := client.Flush(); err != nil {
		return err
	}
	var server *pgconn.HijackedConn
	for {
		message, err := client.Receive()
		if err != nil {
			return err
		}
		if _, ends := message.(*pgproto3.Terminate); ends {
			return nil
		}
		if server == nil {
			server = <-p.servers
			p.lent.Add(1)
		}
		server.Frontend.Send(message)
		switch message.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			idle, err := answer(server, client)
			if err != nil {
				return err
			}
			if idle {
				p.servers <- server
				server = nil
			}
		}
	}
}

// answer forwards the server's answer, and reports whether the session is outside of a
// transaction.
func answer(server *pgconn.HijackedConn, client *pgproto3.Backend) (idle bool, err error) {
	if err := server.Frontend.Flush(); err != nil {
		return false, err
	}
	for {
		message, err := server.Frontend.Receive()
		if err != nil {
			return false, err
		}
		client.Send(message)
		if ready, ok := message.(*pgproto3.ReadyForQuery); ok {
			return ready.TxStatus == 'I', client.Flush()
		}
	}
}

// TestPooler checks that with WithPollOnly everything works through a pooler for
// transactions, where a statement that was prepared on one connection does not exist on
// the next.
func TestPooler(t *testing.T) {
	t.Parallel()
	ctx := within(t)
	url, p := startPooler(t, postgrestest.URL(t))
	st := open(t, url, postgres.WithPollOnly(5*time.Millisecond))
	if got := pingPong(t, st, st, 20, func(int) {}); !slices.Equal(got, upTo(20)) {
		t.Errorf("Subscribe through a pooler yielded %v, want 1 to 20", got)
	}
	for i := range 10 {
		s := stream(i + 2)
		if _, err := st.AppendClaiming(ctx, s, store.NoStream, batch(3), []store.Claim{{Key: s.ID}}); err != nil {
			t.Fatal(err)
		}
		if page, err := st.Read(ctx, s, store.ReadOptions{Backward: true}); err != nil || len(page.Events) != 3 {
			t.Errorf("Read = %d events, %v; want 3", len(page.Events), err)
		}
		if _, err := st.AcquireLease(ctx, "lease", "owner", time.Hour); err != nil {
			t.Error(err)
		}
		from, to := store.Checkpoint{Position: uint64(i), EventID: "e"}, store.Checkpoint{Position: uint64(i + 1), EventID: "e"}
		if i == 0 {
			from = store.Checkpoint{}
		}
		if err := st.SaveCheckpoint(ctx, "consumer", from, to); err != nil {
			t.Error(err)
		}
	}
	if p.lent.Load() < 60 {
		t.Errorf("connections were assigned %d times, want once per call", p.lent.Load())
	}
	if _, err := postgres.Open(ctx, url); !errors.Is(err, postgres.ErrPooler) || !strings.Contains(err.Error(), "WithPollOnly") {
		t.Errorf("Open without WithPollOnly = %v, want ErrPooler and what to do", err)
	}
}

// TestPgBouncer checks that opening a store detects PgBouncer's transaction mode, and
// leaves no setting behind. With WithPollOnly, or in session mode, everything must
// work.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	ctx, direct := within(t), postgrestest.URL(t)
	lent := postgrestest.PgBouncer(t, direct, "transaction")
	if _, err := postgres.Open(ctx, lent); !errors.Is(err, postgres.ErrPooler) || !strings.Contains(err.Error(), "WithPollOnly") {
		t.Errorf("Open through a pooler for transactions = %v, want ErrPooler and what to do", err)
	}
	if _, err := postgres.New(ctx, newPool(t, lent)); !errors.Is(err, postgres.ErrPooler) {
		t.Errorf("New through a pooler for transactions = %v, want ErrPooler", err)
	}
	var scans string
	config, err := pgx.ParseConfig(lent)
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(ctx)
	if err := other.QueryRow(ctx, "SHOW enable_seqscan").Scan(&scans); err != nil || scans != "on" {
		t.Errorf("after Open another program has enable_seqscan = %s, %v; want on", scans, err)
	}
	for name, st := range map[string]*postgres.Store{
		"transactions": open(t, lent, postgres.WithPollOnly(5*time.Millisecond)),
		"sessions":     open(t, postgrestest.PgBouncer(t, postgrestest.URL(t), "session")),
	} {
		if got := pingPong(t, st, st, 10, func(int) {}); !slices.Equal(got, upTo(10)) {
			t.Errorf("Subscribe through a pooler for %s yielded %v, want 1 to 10", name, got)
		}
	}
}
