package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Migrations are the files that make the schema, migrations/001_init.sql and so on,
// for those who run them with a tool of their own: in order, each in a transaction,
// in a database that has the schema "evolve". Each records itself in
// evolve.migration, so that [Open] knows what was run. For another schema, replace
// each "evolve." in them.
//
//go:embed migrations
var Migrations embed.FS

// prepare makes sure that the schema is there, up to date, and laid out as c says.
func prepare(ctx context.Context, pool *pgxpool.Pool, c *config) error {
	files, err := fs.Glob(Migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	slices.Sort(files)
	version, err := schemaVersion(ctx, pool, c.schema)
	if err != nil {
		return err
	}
	if version < len(files) {
		if !c.migrate {
			return &Error{Kind: ErrNoSchema, Err: fmt.Errorf("schema %q is version %d of %d", c.schema, version, len(files))}
		}
		if version, err = migrate(ctx, pool, c.schema, files); err != nil {
			return err
		}
	}
	if version > len(files) {
		return &Error{Kind: ErrNewerSchema, Err: fmt.Errorf("schema %q is version %d, above %d", c.schema, version, len(files))}
	}
	return checkLayout(ctx, pool, c)
}

// schemaVersion returns the version of the schema, 0 if there is none.
func schemaVersion(ctx context.Context, q querier, schema string) (version int, err error) {
	// Not to_regclass: what it remembers can be older than the lock.
	const find = "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace " +
		"WHERE n.nspname = $1 AND c.relname = 'migration')"
	var there bool
	if err := q.QueryRow(ctx, find, schema).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM "+schema+".migration").Scan(&version)
	return version, err
}

// migrate runs the files that have not been run, one instance at a time, and returns
// the version then.
func migrate(ctx context.Context, pool *pgxpool.Pool, schema string, files []string) (version int, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = 0"); err != nil { // another instance takes its time
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('evolve.migration ' || $1, 0))", schema); err != nil {
			return err
		}
		if version, err = schemaVersion(ctx, tx, schema); err != nil { // another instance may have been faster
			return err
		}
		var there bool
		const find = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)"
		if err := tx.QueryRow(ctx, find, schema).Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA "+schema); err != nil {
				return err
			}
		}
		for ; version < len(files); version++ {
			script, err := Migrations.ReadFile(files[version])
			if err != nil {
				return err
			}
			if _, err := tx.Conn().PgConn().Exec(ctx, qualify(string(script), schema)).ReadAll(); err != nil {
				return fmt.Errorf("%s: %w", files[version], err)
			}
		}
		return nil
	})
	return version, err
}

// qualify returns script for another schema.
func qualify(script, schema string) string {
	return strings.ReplaceAll(script, "evolve.", schema+".")
}

// checkLayout makes sure that the schema is laid out as c says; the first one to open
// it chooses.
func checkLayout(ctx context.Context, pool *pgxpool.Pool, c *config) error {
	var perTenant bool
	query := "SELECT log_per_tenant FROM " + c.schema + ".setting"
	err := pool.QueryRow(ctx, query).Scan(&perTenant)
	if errors.Is(err, pgx.ErrNoRows) {
		insert := "INSERT INTO " + c.schema + ".setting (log_per_tenant) VALUES ($1) ON CONFLICT DO NOTHING"
		if _, err := pool.Exec(ctx, insert, c.logPerTenant); err != nil {
			return err
		}
		err = pool.QueryRow(ctx, query).Scan(&perTenant)
	}
	if err != nil {
		return err
	}
	if perTenant != c.logPerTenant {
		return &Error{Kind: ErrOtherLayout, Err: fmt.Errorf("schema %q: log per tenant is %t", c.schema, perTenant)}
	}
	return nil
}
