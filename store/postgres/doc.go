// Package postgres is a durable store in PostgreSQL.
package postgres
