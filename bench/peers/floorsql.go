package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// handTable is the table of the floor. Its key settles races. It has no ids, no global
// order and no times.
const handTable = `CREATE TABLE event (stream TEXT NOT NULL, version BIGINT NOT NULL,
	kind TEXT NOT NULL, data %s NOT NULL, PRIMARY KEY (stream, version))`

// hand does the job in SQL without a library. It needs one SELECT to load. One INSERT
// appends all rows, or none if the stream is at another version.
type hand struct {
	closer
	statements
}

type statements interface {
	load(ctx context.Context, id string) (account, int, error)
	append(ctx context.Context, id string, version int, kind string, data [][]byte) error
}

func (h hand) add(ctx context.Context, id string, version, k int, event func() kept) error {
	var kind string
	data := make([][]byte, k)
	for i := range data {
		e, err := encode(event())
		if err != nil {
			return err
		}
		kind, data[i] = e.kind, e.data
	}
	return h.append(ctx, id, version, kind, data)
}

func (h hand) open(ctx context.Context, stream stream) error {
	a, version, err := h.load(ctx, stream.name)
	if err != nil {
		return err
	}
	if err := a.mayOpen(); err != nil {
		return err
	}
	return h.add(ctx, stream.name, version, 1, newOpened)
}

func (h hand) deposit(ctx context.Context, stream stream, amount int64) error {
	a, version, err := h.load(ctx, stream.name)
	if err != nil {
		return err
	}
	if err := a.mayDeposit(amount); err != nil {
		return err
	}
	return h.add(ctx, stream.name, version, 1, func() kept { return newDeposited(amount) })
}

func (h hand) replay(ctx context.Context, stream stream) (account, error) {
	a, _, err := h.load(ctx, stream.name)
	return a, err
}

func (h hand) appender(ctx context.Context, stream stream) (func(k int) error, error) {
	id, version := stream.name, 1
	return func(k int) error {
		if err := h.add(ctx, id, version, k, func() kept { return newDeposited(1) }); err != nil {
			return err
		}
		version += k
		return nil
	}, h.add(ctx, id, 0, 1, newOpened)
}

func (hand) conflict(err error) bool { return errors.Is(err, errConflict) }

// floorPostgres is the floor with pgx.
func floorPostgres() row {
	return row{name: "by hand", by: true, open: func(ctx context.Context, at string) (driver, error) {
		pool, err := pgxPool(ctx, at)
		if err != nil {
			return nil, err
		}
		if _, err := pool.Exec(ctx, fmt.Sprintf(handTable, "BYTEA")); err != nil {
			return nil, err
		}
		return hand{closer: closePool(pool), statements: handPostgres{pool}}, nil
	}}
}

func pgxPool(ctx context.Context, at string) (*pgxpool.Pool, error) {
	at, err := pgxSource(at)
	if err != nil {
		return nil, err
	}
	return pgxpool.New(ctx, at)
}

func closePool(pool *pgxpool.Pool) closer {
	return func() error { pool.Close(); return nil }
}

type handPostgres struct{ pool *pgxpool.Pool }

func (h handPostgres) load(ctx context.Context, id string) (a account, version int, err error) {
	rows, err := h.pool.Query(ctx, "SELECT kind, data FROM event WHERE stream = $1 ORDER BY version", id)
	if err != nil {
		return a, 0, err
	}
	var e encoded
	_, err = pgx.ForEachRow(rows, []any{&e.kind, &e.data}, func() error {
		version++
		return e.fold(&a)
	})
	return a, version, err
}

func (h handPostgres) append(ctx context.Context, id string, version int, kind string, data [][]byte) error {
	tag, err := h.pool.Exec(ctx, `INSERT INTO event (stream, version, kind, data)
		SELECT $1, $2::bigint + n, $3, d FROM unnest($4::bytea[]) WITH ORDINALITY AS t(d, n)
		WHERE (SELECT coalesce(max(version), 0) FROM event WHERE stream = $1) = $2`, id, version, kind, data)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23505" || err == nil && tag.RowsAffected() == 0 {
		return errConflict
	}
	return err
}

// floorSQLite is the floor with a driver of database/sql: "sqlite" is the engine that
// evolve uses, without cgo, and "sqlite3" is SQLite with cgo.
func floorSQLite(name, driverName, sync string) row {
	return row{name: name, by: true, open: func(ctx context.Context, at string) (driver, error) {
		db, err := pooled(driverName, sqliteSource(driverName, at, sync))
		if err != nil {
			return nil, err
		}
		if _, err := db.ExecContext(ctx, fmt.Sprintf(handTable, "BLOB")+" WITHOUT ROWID"); err != nil {
			return nil, err
		}
		h := handSQLite{db: db}
		if h.read, err = db.PrepareContext(ctx, "SELECT kind, data FROM event WHERE stream = ? ORDER BY version"); err != nil {
			return nil, err
		}
		if h.add, err = db.PrepareContext(ctx, handInsert(1)); err != nil {
			return nil, err
		}
		return hand{closer: db.Close, statements: h}, nil
	}}
}

type handSQLite struct {
	db        *sql.DB
	read, add *sql.Stmt
}

func (h handSQLite) load(ctx context.Context, id string) (a account, version int, err error) {
	rows, err := h.read.QueryContext(ctx, id)
	if err != nil {
		return a, 0, err
	}
	defer rows.Close()
	var kind, data sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&kind, &data); err != nil {
			return a, version, err
		}
		version++
		if err := (encoded{string(kind), data}).fold(&a); err != nil {
			return a, version, err
		}
	}
	return a, version, rows.Err()
}

func (h handSQLite) append(ctx context.Context, id string, version int, kind string, data [][]byte) error {
	args := append(make([]any, 0, 3+len(data)), id, version, kind)
	for _, d := range data {
		args = append(args, d)
	}
	var result sql.Result
	var err error
	if len(data) == 1 {
		result, err = h.add.ExecContext(ctx, args...)
	} else {
		result, err = h.db.ExecContext(ctx, handInsert(len(data)), args...)
	}
	if unique(err) {
		return errConflict
	}
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errConflict, err)
	}
	return nil
}

// handInsert is one statement for k rows.
func handInsert(k int) string {
	var rows strings.Builder
	for i := range k {
		if i > 0 {
			rows.WriteByte(',')
		}
		fmt.Fprintf(&rows, "(%d,?%d)", i+1, i+4)
	}
	return "INSERT INTO event (stream, version, kind, data) SELECT ?1, ?2 + column1, ?3, column2 FROM (VALUES " + rows.String() +
		") WHERE (SELECT coalesce(max(version), 0) FROM event WHERE stream = ?1) = ?2"
}
