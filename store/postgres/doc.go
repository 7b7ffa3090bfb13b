// Package postgres is a durable store in PostgreSQL.
package postgres

import _ "github.com/jackc/pgx/v5/pgxpool"
