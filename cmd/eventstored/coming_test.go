package main

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// TestComingFromHallgren runs the query of docs/coming-from.md on a table that
// hallgren/eventsourcing makes, and imports the output twice.
func TestComingFromHallgren(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/coming-from.md")
	if err != nil {
		t.Fatal(err)
	}
	_, query, _ := strings.Cut(string(page), "```sql\n")
	query, _, ok := strings.Cut(query, "```")
	if !ok {
		t.Fatal("docs/coming-from.md has no query")
	}
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "old.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		`CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id VARCHAR NOT NULL, version INTEGER, reason VARCHAR, type VARCHAR, timestamp VARCHAR, data BLOB, metadata BLOB, UNIQUE (id, type, version))`,
		`INSERT INTO events (id, version, reason, type, timestamp, data) VALUES
			('p-1', 1, 'Born', 'Person', '2026-01-02T03:04:05Z', '{"Name":"kalle"}'),
			('p-2', 1, 'Born', 'Person', '2026-01-02T03:04:06Z', '{"Name":"anka"}'),
			('p-1', 2, 'AgedOneYear', 'Person', '2026-01-02T03:04:07Z', '{}')`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var lines strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	url := "sqlite:" + filepath.Join(dir, "new.db")
	for _, want := range []string{"imported 3 events, 0 were", "imported 0 events, 3 were"} {
		if got := do(t, lines.String(), "import", "-store", url); got.err != nil || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("import = %+v, want %q", got, want)
		}
	}
	got := do(t, "", "read", "Person/p-1", "-store", url)
	for _, want := range []string{`"version":1`, `"type":"Born"`, `"data":{"Name":"kalle"}`, `"time":"2026-01-02T03:04:05Z"`, `"version":2`, `"type":"AgedOneYear"`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("read = %+v, want %s", got, want)
		}
	}
}
