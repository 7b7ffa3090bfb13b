package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

func engine(tb testing.TB) *sqlite.Engine {
	tb.Helper()
	e, err := sqlite.NewEngine()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Errorf("Close = %v", err)
		}
	})
	return e
}

// TestEngineValues checks that bound values come back unchanged, whatever was bound to
// the statement before, and stay the same when the statement continues.
func TestEngineValues(t *testing.T) {
	t.Parallel()
	e := engine(t)
	of := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Float64().Filter(func(f float64) bool { return !math.IsNaN(f) }), func(f float64) any { return f }),
		rapid.Map(rapid.String(), func(s string) any { return s }),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) any { return b }),
		rapid.Map(rapid.IntRange(0, 2<<20), func(n int) any { return strings.Repeat("x", n) }),
	)
	rapid.Check(t, func(rt *rapid.T) {
		var all, kept [][]any
		for range rapid.IntRange(1, 5).Draw(rt, "executions") {
			args := rapid.SliceOfN(of, 1, 8).Draw(rt, "args")
			got, err := e.Same(args)
			if err != nil {
				rt.Fatalf("SELECT of %d values = %v", len(args), err)
			}
			all = append(all, args)
			values := make([]any, len(got))
			for i, v := range got {
				values[i] = v
			}
			kept = append(kept, values)
		}
		if !reflect.DeepEqual(all, kept) {
			rt.Fatalf("got %.200v, want %.200v", fmt.Sprint(kept), fmt.Sprint(all))
		}
	})
}

// FuzzEngine executes arbitrary SQL, and binds arbitrary values to a statement.
func FuzzEngine(f *testing.F) {
	f.Add("SELECT 1; CREATE TABLE a (b); INSERT INTO a VALUES (x'00'); SELECT * FROM a -- c", []byte{0}, "text", int64(1))
	f.Add("", []byte{}, "", int64(0))
	f.Add("SELECT 'a' || char(0) || 'b'; /*", []byte("\x00\x00"), "a\x00b", int64(-1))
	f.Fuzz(func(t *testing.T, query string, blob []byte, text string, n int64) {
		e := engine(t)
		got, err := e.Same([]any{blob, text, n, nil})
		if want := []driver.Value{blob, text, n, nil}; err != nil || !reflect.DeepEqual(got, want) && blob != nil {
			t.Errorf("SELECT = %v, %v, want %v", got, err, want)
		}
		lower := strings.ToLower(query)
		for _, not := range []string{"attach", "vacuum", "recursive", "temp", "randomblob", "zeroblob", "pragma", "load", "printf", "format"} {
			if strings.Contains(lower, not) {
				return // it takes long, or writes files
			}
		}
		_ = e.Run(query) // which need not be valid SQL
	})
}

func TestMetadataOfRows(t *testing.T) {
	t.Parallel()
	texts := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", `"`, `\`, `","causation_id":"x`, "<&>", "\u2028", "a\nb"}))
	rapid.Check(t, func(rt *rapid.T) {
		m := store.Metadata{
			CorrelationID: texts.Draw(rt, "correlation"), CausationID: texts.Draw(rt, "causation"), ActorID: texts.Draw(rt, "actor"),
		}
		if rapid.Bool().Draw(rt, "headers") {
			m.Headers = rapid.MapOfN(texts, texts, 1, 3).Draw(rt, "of")
		}
		if got, err := sqlite.SameMeta(m); err != nil || !reflect.DeepEqual(got, m) {
			rt.Fatalf("decoded metadata is %+v, %v, want %+v", got, err, m)
		}
	})
}

// FuzzMetadataOfRows checks that the fast decoder and encoding/json read the same.
func FuzzMetadataOfRows(f *testing.F) {
	f.Add([]byte(`{"correlation_id":"a","causation_id":"b","actor_id":"c"}`))
	f.Add([]byte(`{"causation_id":"b","headers":{"x":"y"}}`))
	f.Add([]byte(`{"correlation_id":"a"{"actor_id":"c"}`))
	f.Add([]byte(`{,"correlation_id":"a"}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if !json.Valid(text) && len(text) > 0 && bytes.IndexFunc(text, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) >= 0 {
			return // encodeMeta never writes such bytes, and encoding/json replaces them
		}
		got, want, gotErr, wantErr := sqlite.DecodeMeta(text)
		if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("decodeMeta(%q) = %+v, %v, want %+v, %v", text, got, gotErr, want, wantErr)
		}
	})
}

// TestIDsInTheFile checks that every id comes back unchanged, and that only UUIDs in
// their usual form are stored as 16 bytes.
func TestIDsInTheFile(t *testing.T) {
	t.Parallel()
	e := engine(t)
	for id, blob := range map[string]bool{
		"0192f0c1-7b3a-7c4e-9d2f-00000000000a": true,
		"ffffffff-ffff-ffff-ffff-ffffffffffff": true,
		"0192F0C1-7B3A-7C4E-9D2F-00000000000A": false,
		"0192f0c1-7b3a-7c4e-9d2f-00000000000A": false,
		"0192f0c17b3a7c4e9d2f00000000000a":     false,
		"0192f0c1-7b3a-7c4e-9d2f-00000000000":  false,
		"0192f0c1-7b3a-7c4e-9d2f-00000000000g": false,
		"0192f0c1-7b3a-7c4e-9d2f_00000000000a": false,
		"0192f0c1-7b3a-7c4e-9d2f-0000000000a-": false,
		"{192f0c1-7b3a-7c4e-9d2f-00000000000a": false,
		"16 bytes of text":                     false,
		"1":                                    false,
	} {
		if got, is, err := sqlite.SameID(e, id); err != nil || got != id || is != blob {
			t.Errorf("%q comes back as %q, stored as a blob: %t, %v; want stored as a blob: %t", id, got, is, err, blob)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`),
			rapid.StringMatching(`[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)).Draw(rt, "id")
		if got, _, err := sqlite.SameID(e, id); err != nil || got != id {
			rt.Fatalf("%q comes back as %q, %v", id, got, err)
		}
	})
}

// TestLibraryVersions checks that the translated SQLite runs with exactly the version
// of libc that it was made with.
func TestLibraryVersions(t *testing.T) {
	t.Parallel()
	list := func(format, module string) string {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", format, module)
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("needs the go command: %v", err)
		}
		return strings.TrimSpace(string(out))
	}
	mod, err := os.ReadFile(list("{{.GoMod}}", "modernc.org/sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	libc := list("{{.Version}}", "modernc.org/libc")
	if !strings.Contains(string(mod), "modernc.org/libc "+libc+"\n") {
		t.Errorf("modernc.org/libc is %s, but modernc.org/sqlite was made with another version:\n%s", libc, mod)
	}
}

// TestOtherConnectionKeepsLocks checks that an application may open and close the file
// with the driver while the store writes, and that this lets no other process write in
// between.
func TestOtherConnectionKeepsLocks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	st := countingAt(t, path)
	err := st.Update(t.Context(), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("INSERT INTO bank_number VALUES ('1', 1)"); err != nil {
			return err
		}
		db, err := sql.Open("sqlite", path)
		if err != nil {
			return err
		}
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM bank_number").Scan(&n); err != nil {
			return err
		}
		if err := db.Close(); err != nil {
			return err
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+path, locksEnv+"=1")
		if out, err := cmd.Output(); err != nil || string(out) != "busy\n" {
			t.Errorf("another process prints %q, %v, want that the file is busy", out, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpdateSQL checks that the SQL of a caller accepts and returns the same values as
// the driver.
func TestUpdateSQL(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	st := countingAt(t, path)
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	err := st.Update(t.Context(), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("CREATE TABLE bank_all (id INTEGER PRIMARY KEY, i INTEGER, f REAL, t TEXT, b BLOB, at DATETIME, y BOOLEAN); -- more\nCREATE INDEX bank_at ON bank_all (at)"); err != nil {
			return err
		}
		r, err := tx.Exec("INSERT INTO bank_all (i, f, t, b, at, y) VALUES ($i, @f, :t, ?4, ?, ?)",
			sql.Named("i", 7), sql.Named("f", 1.5), sql.Named("t", "täxt"), []byte{0, 1}, at, true)
		if err != nil {
			return err
		}
		last, _ := r.LastInsertId()
		if n, _ := r.RowsAffected(); n != 1 || last != 1 {
			t.Errorf("the row has id %d, and %d rows were inserted", last, n)
		}
		if _, err := tx.Exec("INSERT INTO bank_all (i) VALUES (?)", nil); err != nil {
			return err
		}
		return wantAll(tx.Query("SELECT i, f, t, b, at, y FROM bank_all WHERE id = ?", 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := wantAll(db.QueryContext(t.Context(), "SELECT i, f, t, b, at, y FROM bank_all WHERE id = ?", 1)); err != nil {
		t.Errorf("read by the driver: %v", err)
	}
}

// wantAll returns an error unless rows is the row of TestUpdateSQL.
func wantAll(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	var i int
	var f float64
	var s string
	var b []byte
	var at time.Time
	var y bool
	for rows.Next() {
		if err := rows.Scan(&i, &f, &s, &b, &at, &y); err != nil {
			return err
		}
	}
	if i != 7 || f != 1.5 || s != "täxt" || !bytes.Equal(b, []byte{0, 1}) || !at.Equal(time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)) || !y {
		return fmt.Errorf("the row is %d, %g, %q, %x, %s, %t", i, f, s, b, at, y)
	}
	return rows.Err()
}

// TestUpdateSQLRefusals checks that errors in SQL are reported with the code of SQLite.
func TestUpdateSQLRefusals(t *testing.T) {
	t.Parallel()
	st := counting(t)
	for name, tt := range map[string]struct {
		do   func(tx *sqlite.Tx) error
		code int
		text string
	}{
		"a constraint": {func(tx *sqlite.Tx) error {
			_, err := tx.Exec("INSERT INTO bank_number VALUES ('1', 1), ('1', 1)")
			return err
		}, 1555, "bank_number.stream, bank_number.n"},
		"no such table": {func(tx *sqlite.Tx) error {
			_, err := tx.Exec("INSERT INTO bank_nothing VALUES (?)", 1)
			return err
		}, 1, "bank_nothing"},
		"a text in double quotes": {func(tx *sqlite.Tx) error {
			_, err := tx.Exec(`INSERT INTO bank_number VALUES ("x", ?)`, 1)
			return err
		}, 1, "x"},
		"too few arguments": {func(tx *sqlite.Tx) error {
			_, err := tx.Exec("INSERT INTO bank_number VALUES (?, ?)", 1)
			return err
		}, 0, "parameter 2"},
		"arguments of several statements": {func(tx *sqlite.Tx) error {
			_, err := tx.Exec("INSERT INTO bank_number VALUES ('2', ?); INSERT INTO bank_number VALUES ('3', ?)", 1, 2)
			return err
		}, 0, "one by one"},
		"a value of no type": {func(tx *sqlite.Tx) error {
			_, err := tx.Exec("INSERT INTO bank_number VALUES (?, ?)", struct{}{}, 1)
			return err
		}, 0, "argument 1"},
		"a query": {func(tx *sqlite.Tx) error {
			_, err := number(tx, "SELECT nothing FROM bank_number WHERE n = ?", 1)
			return err
		}, 1, "nothing"},
	} {
		err := st.Update(context.Background(), tt.do)
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: Update = %v, want an error with %q", name, err, tt.text)
		}
		if e, ok := errors.AsType[*sqlite.SQLError](err); ok != (tt.code != 0) || ok && e.Code != tt.code {
			t.Errorf("%s: Update = %v, want the code %d", name, err, tt.code)
		}
		wantWhole(t, st, store.Stream{Type: "A", ID: "1"}, 0)
	}
}

// TestUpdateNested checks that a query can be executed while its own rows are read.
func TestUpdateNested(t *testing.T) {
	t.Parallel()
	st := counting(t)
	err := st.Update(t.Context(), func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("INSERT INTO bank_number VALUES ('1', 1), ('1', 2), ('1', 3)"); err != nil {
			return err
		}
		const query = "SELECT n FROM bank_number WHERE n > ? ORDER BY n"
		rows, err := tx.Query(query, 0)
		if err != nil {
			return err
		}
		defer rows.Close()
		for i := 1; rows.Next(); i++ {
			var n int
			if err := rows.Scan(&n); err != nil || n != i {
				t.Errorf("row %d is %d, %v", i, n, err)
			}
			if inner, err := number(tx, query, n); err != nil || n < 3 && inner != 3 {
				t.Errorf("the last row inside row %d is %d, %v", i, inner, err)
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}
