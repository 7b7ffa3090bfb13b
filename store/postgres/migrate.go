package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Migrations holds the files that create the schema, migrations/001_init.sql and so on.
// If you run them with your own tool, run them in order, each in a transaction, in a
// database that has the schema "evolve". Each file records itself in evolve.migration,
// so that [Open] knows which files were run. For another schema, replace each "evolve."
// in them, with the quoted name outside of string literals.
//
//go:embed migrations
var Migrations embed.FS

// prepare makes sure that the schema exists, is up to date, and has the layout that c
// specifies.
func prepare(ctx context.Context, pool *pgxpool.Pool, c *config) error {
	files, err := fs.Glob(Migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(files)
	return onConn(ctx, pool, func(conn *pgx.Conn) error {
		version, err := schemaVersion(ctx, conn, c.schema)
		if err != nil {
			return err
		}
		if version < len(files) {
			if !c.migrate {
				return &Error{Kind: ErrNoSchema, Err: fmt.Errorf("schema %q is at version %d of %d: open it without WithoutMigrate, or run the Migrations",
					c.schema, version, len(files))}
			}
			if version, err = migrate(ctx, conn, c.schema, files); err != nil {
				return err
			}
		}
		if version > len(files) {
			return &Error{Kind: ErrNewerSchema, Err: fmt.Errorf("schema %q is at version %d, but this program knows only %d: use a newer program",
				c.schema, version, len(files))}
		}
		return checkLayout(ctx, conn, c)
	})
}

// schemaVersion returns the version of the schema, or 0 if there is none.
func schemaVersion(ctx context.Context, q querier, schema schema) (version int, err error) {
	// Not to_regclass, because its cached answer can be older than the lock.
	const find = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE n.nspname = $1 AND c.relname = 'migration')"
	var exists bool
	if err := q.QueryRow(ctx, find, string(schema)).Scan(&exists); err != nil || !exists {
		return 0, err
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM "+schema.quoted()+".migration").Scan(&version)
	return version, err
}

// migrate runs the files that have not been run, one instance at a time, and returns
// the resulting version.
func migrate(ctx context.Context, conn *pgx.Conn, schema schema, files []string) (version int, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = 0"); err != nil { // another instance may take long
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('evolve.migration ' || $1, 0))", string(schema)); err != nil {
			return err
		}
		if version, err = schemaVersion(ctx, tx, schema); err != nil { // another instance may have migrated meanwhile
			return err
		}
		if err := makeSchema(ctx, tx, schema); err != nil {
			return err
		}
		for ; version < len(files); version++ {
			script, err := Migrations.ReadFile(files[version])
			if err != nil {
				return err
			}
			if _, err := conn.PgConn().Exec(ctx, schema.qualify(string(script))).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w", files[version], err)
			}
		}
		return nil
	})
	return version, err
}

// makeSchema creates the schema if it does not exist. If it exists, a role without the
// privilege to create schemas can still create the tables.
func makeSchema(ctx context.Context, tx pgx.Tx, schema schema) error {
	var exists bool
	const find = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)"
	if err := tx.QueryRow(ctx, find, string(schema)).Scan(&exists); err != nil || exists {
		return err
	}
	_, err := tx.Exec(ctx, "CREATE SCHEMA "+schema.quoted())
	return err
}

// checkLayout makes sure that the schema has the layout that c specifies. The first
// store to open it chooses the layout.
func checkLayout(ctx context.Context, q querier, c *config) error {
	var perTenant bool
	query := "SELECT log_per_tenant FROM " + c.schema.quoted() + ".setting"
	err := q.QueryRow(ctx, query).Scan(&perTenant)
	if errors.Is(err, pgx.ErrNoRows) {
		insert := "INSERT INTO " + c.schema.quoted() + ".setting (log_per_tenant) VALUES ($1) ON CONFLICT DO NOTHING"
		if _, err := q.Exec(ctx, insert, c.logPerTenant); err != nil {
			return err
		}
		err = q.QueryRow(ctx, query).Scan(&perTenant)
	}
	if err != nil {
		return err
	}
	if perTenant != c.logPerTenant {
		return &Error{Kind: ErrOtherLayout, Err: fmt.Errorf("schema %q has log_per_tenant = %t: open it with the same setting", c.schema, perTenant)}
	}
	return nil
}
