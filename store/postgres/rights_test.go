package postgres_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/postgres"
	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

// TestLeastRights checks that the privileges in docs/production.md are enough for
// everything that a store does, and allow nobody to change recorded events.
func TestLeastRights(t *testing.T) {
	t.Parallel()
	ctx, url := within(t), postgrestest.URL(t)
	open(t, url)
	page, err := os.ReadFile("../../docs/production.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(-- least rights.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/production.md has no SQL for the least privileges")
	}
	tag := strings.ReplaceAll(store.NewID(), "-", "")
	app, reporting := "app_"+tag, "reporting_"+tag
	grants := strings.NewReplacer("TO app", "TO "+app, ", reporting", ", "+reporting).Replace(string(block[1]))
	execute(t, url, "CREATE ROLE "+app+" LOGIN; CREATE ROLE "+reporting+" LOGIN; "+grants)
	t.Cleanup(func() {
		execute(t, url, "DROP OWNED BY "+app+", "+reporting+"; DROP ROLE "+app+", "+reporting)
	})
	as := func(role string) *pgxpool.Pool {
		return newPool(t, url, func(c *pgxpool.Config) { c.ConnConfig.User = role })
	}

	st, err := postgres.New(ctx, as(app), postgres.WithoutMigrate())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if got := pingPong(t, st, st, 4, func(int) {}); len(got) != 4 {
		t.Errorf("Subscribe yielded %v", got)
	}
	useAll(t, st)
	for _, query := range []string{
		"UPDATE evolve.event SET data = ''", "DELETE FROM evolve.event", "TRUNCATE evolve.event", "DELETE FROM evolve.log",
		"DELETE FROM evolve.checkpoint", "INSERT INTO evolve.migration VALUES (9)", "CREATE TABLE evolve.mine (n int)",
	} {
		if _, err := as(app).Exec(ctx, query); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s as app = %v, want 42501", query, err)
		}
	}

	reader, err := postgres.New(ctx, as(reporting), postgres.WithoutMigrate())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for page, err := range reader.Subscribe(ctx, store.LogOptions{}) {
		if err != nil || len(page.Events) == 0 {
			t.Errorf("Subscribe as reporting yielded %d events, %v", len(page.Events), err)
		}
		break
	}
	_, err1 := reader.Append(ctx, stream(1), store.Any, batch(1))
	err2 := reader.Update(ctx, func(tx *postgres.Tx) error {
		return tx.SaveDocuments([]store.Document{{Kind: "k", ID: "1", Data: []byte("1")}})
	})
	for _, err := range []error{err1, err2} {
		if !errors.Is(err, postgres.ErrDenied) || !store.Definite(err) {
			t.Errorf("a write as reporting = %v, want ErrDenied, definite", err)
		}
	}
}

// useAll uses every feature of the store. It fails if a call does not succeed.
func useAll(t *testing.T, st *postgres.Store) {
	t.Helper()
	ctx := within(t)
	at := store.Checkpoint{Position: 1, EventID: "e"}
	claims := []store.Claim{{Key: "seat"}}
	_, err1 := st.AppendClaiming(ctx, stream(3), store.NoStream, batch(2), claims)
	claims[0].Release = true
	_, err2 := st.AppendClaiming(ctx, stream(3), store.Exactly(2), batch(1), claims)
	lease, err3 := st.AcquireLease(ctx, "lease", "owner", time.Hour)
	err := errors.Join(
		err1, err2, err3,
		st.ReleaseLease(ctx, lease),
		st.SaveSnapshot(ctx, store.Snapshot{Stream: stream(3), Schema: "v1", Version: 1}),
		st.SaveSnapshot(ctx, store.Snapshot{Stream: stream(3), Schema: "v1", Version: 2}),
		st.SaveCheckpoint(ctx, "consumer", store.Checkpoint{}, at),
		st.SaveCheckpoint(ctx, "consumer", at, at),
		st.SaveCheckpoint(ctx, "consumer", at, store.Checkpoint{}),
		st.Update(ctx, func(tx *postgres.Tx) error {
			_, err := tx.Append(stream(4), store.Any, batch(1))
			return errors.Join(err,
				tx.SaveDocuments([]store.Document{{Kind: "k", ID: "1", Data: []byte("1")}}),
				tx.SaveDocuments([]store.Document{{Kind: "k", ID: "1", Data: []byte("2")}}),
				tx.SaveDocuments([]store.Document{{Kind: "k", ID: "1"}}))
		}),
	)
	if err != nil {
		t.Error(err)
	}
	appendAtOnce(t, st)
}
