package main

import (
	"context"
	"encoding/binary"
	"strconv"
	"strings"
)

// driver is one library on one store, used as its own documentation shows. A driver is
// safe for concurrent use.
type driver interface {
	// open is a whole command on a stream without events: load, decide, append one
	// event.
	open(ctx context.Context, stream stream) error
	// deposit is a whole command: load the stream, fold it, decide, and append one
	// event at the version that was loaded. It tries once; see conflict.
	deposit(ctx context.Context, stream stream, amount int64) error
	// replay loads and folds the stream in the usual way of the library.
	replay(ctx context.Context, stream stream) (account, error)
	// appender opens the stream, and returns a function that appends k deposits of 1 to
	// it in one batch, at the expected version, without loading the stream. It uses the
	// cheapest public way that takes typed events. The function is for one goroutine at
	// a time.
	appender(ctx context.Context, stream stream) (add func(k int) error, err error)
	// conflict reports whether an error means that another writer appended first.
	conflict(err error) bool
	close() error
}

// stream names a stream, as text and as a UUID for libraries that need one.
type stream struct {
	name string
	id   [16]byte
}

// numbered returns the name of stream number n.
func numbered(n int) stream {
	s := stream{name: "account-" + strconv.Itoa(n), id: [16]byte{6: 0x40, 8: 0x80}}
	binary.BigEndian.PutUint32(s.id[12:], uint32(n)) //nolint:gosec // n is small
	return s
}

// closer closes a driver by a function.
type closer func() error

func (c closer) close() error { return c() }

func nothing() error { return nil }

// row is a library on a store.
type row struct {
	name string
	ours bool // evolve in another configuration, which is not a peer
	by   bool // the job without a library: what it costs at least
	open func(ctx context.Context, at string) (driver, error)
}

// table compares rows on one store. The first row is evolve.
type table struct {
	name, title string
	store       store
	rows        []row
}

// tables returns the comparisons.
func tables() []table {
	return []table{
		{"memory", "Memory, events kept as Go values", memoryStore{}, []row{
			evolveMemory("evolve", values, false), evolveMemory("evolve, cached", values, true),
			floorMemory(), eventHorizon(), goesMemory(), terraskyeMemory(),
		}},
		{"memory-json", "Memory, events encoded as JSON", memoryStore{}, []row{
			evolveMemory("evolve", inJSON, false), evolveMemory("evolve, cached", inJSON, true),
			evolveMemory("evolve, protobuf", inProtobuf, false), floorMemoryJSON(), chronicleMemory(), hallgrenMemory(),
		}},
		{"sqlite", "SQLite, synchronous=NORMAL", sqliteStore{}, sqliteRows("NORMAL")},
		{"sqlite-full", "SQLite, synchronous=FULL", sqliteStore{}, sqliteRows("FULL")},
		{"postgres", "PostgreSQL", postgresStore{}, []row{
			evolvePostgres("evolve", false), evolvePostgres("evolve, cached", true),
			floorPostgres(), chroniclePostgres(), hallgrenPostgres(), goesPostgres(), aneshasPostgres(), terraskyePostgres(),
		}},
	}
}

func sqliteRows(sync string) []row {
	return []row{
		evolveSQLite("evolve", sync, false), evolveSQLite("evolve, cached", sync, true),
		floorSQLite("by hand, same engine", "sqlite", sync), floorSQLite("by hand, cgo", "sqlite3", sync),
		chronicleSQLite(sync), hallgrenSQLite(sync), aneshasSQLite(sync),
	}
}

// unique reports whether an error is the driver's own error for a unique key that
// exists. Some libraries return it instead of a conflict when two appends race.
func unique(err error) bool {
	if err == nil {
		return false
	}
	for _, text := range []string{"23505", "40001", "duplicate key value", "UNIQUE constraint failed"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}
