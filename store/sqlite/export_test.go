package sqlite

import (
	"bytes"
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	lib "modernc.org/sqlite/lib"

	"github.com/evolvego/evolve/store"
)

// script is SQL that tests run as a write.
type script string

func (script) count() int { return 1 }

func (s script) do(w *writer) error {
	_, err := w.number(string(s))
	return err
}

// Write runs a pragma that returns a number, on the connection of the writer.
func Write(st *Store, pragma string) {
	if err := st.backend.submit(context.Background(), script(pragma)); err != nil {
		panic(err)
	}
}

// Ask returns the results of a pragma on the connection that writes, and on n
// connections that read.
func Ask(st *Store, pragma string, n int) (writer int, readers []int) {
	b := st.backend
	if err := b.submit(context.Background(), ask{pragma, &writer}); err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	together := make(chan struct{})
	for range n {
		all.Go(func() {
			err := b.reading(context.Background(), func(r *reader) error {
				answer, err := r.number(pragma)
				mu.Lock()
				readers = append(readers, int(answer))
				if len(readers) == n {
					close(together)
				}
				mu.Unlock()
				<-together // so that each goroutine gets its own connection
				return err
			})
			if err != nil {
				panic(err)
			}
		})
	}
	all.Wait()
	return writer, readers
}

// ask is a query for a number that tests run as a write.
type ask struct {
	query string
	to    *int
}

func (ask) count() int { return 1 }

func (a ask) do(w *writer) error {
	n, err := w.number(a.query)
	*a.to = int(n)
	return err
}

// hold is a write that keeps the writer busy until it is closed.
type hold chan struct{}

func (hold) count() int { return 1 }

func (h hold) do(*writer) error {
	h <- struct{}{}
	<-h
	return nil
}

// Hold keeps the writer busy. The returned function releases the writer and waits for
// the write to end.
func Hold(st *Store) (release func()) {
	h, done := make(hold), make(chan struct{})
	go func() {
		defer close(done)
		_ = st.backend.submit(context.Background(), h)
	}()
	<-h
	return func() { close(h); <-done }
}

// WaitQueued waits until there are n waiting writes: one that the writer is doing, and
// the others in the queue.
func WaitQueued(st *Store, n int) {
	for len(st.backend.writer.queue) < n-1 || st.backend.writer.waiting.Load() < int64(n) {
		runtime.Gosched()
	}
}

// ByReader runs SQL on a connection that reads.
func ByReader(st *Store, query string) error {
	return st.backend.reading(context.Background(), func(r *reader) error { return r.exec(query) })
}

// Doubts returns the reason why the log next to the file at path cannot belong to the
// file.
func Doubts(path string) (reason string, err error) {
	c, err := openConn(path, 2)
	if err != nil {
		return "", err
	}
	defer c.close()
	c.checkpointOnClose(false)
	log, err := readWAL(path + "-wal")
	if err != nil || log == nil {
		return "", err
	}
	var header [100]byte
	if _, err := c.readFile(header[:], 0); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	reason, _ = log.doubts(header[:], info.Size())
	return reason, nil
}

// ParseWAL parses a log, and compares it with a file that has this header.
func ParseWAL(log, header []byte, size int64) error {
	w, err := parseWAL(bytes.NewReader(log))
	if w != nil {
		w.doubts(header, size)
	}
	return err
}

// Engine is a connection to a database in memory.
type Engine struct{ theirs theirs }

// NewEngine opens a connection to a database in memory.
func NewEngine() (*Engine, error) {
	c, err := openConn(":memory:", 6)
	return &Engine{theirs{conn: c}}, err
}

// Close closes the connection.
func (e *Engine) Close() error {
	e.theirs.close()
	return e.theirs.conn.close()
}

// Same binds args to a statement that selects them, and returns the result. It prepares
// one statement for each number of args.
func (e *Engine) Same(args []any) ([]driver.Value, error) {
	query := "SELECT ?" + strings.Repeat(", ?", len(args)-1)
	s, release, err := e.theirs.prepare(query, true)
	if err != nil {
		return nil, err
	}
	defer release()
	values, err := s.values(args)
	if err == nil {
		err = s.bind(values)
	}
	if err != nil {
		return nil, err
	}
	r := rows{stmt: s}
	r.names, r.types = s.columns()
	got := make([]driver.Value, len(args))
	return got, r.Next(got)
}

// Run executes any SQL, and reads all rows.
func (e *Engine) Run(query string) error {
	if err := e.theirs.conn.script(query); err != nil {
		return err
	}
	_, err := e.theirs.exec(query, nil)
	return err
}

// SameMeta encodes and decodes metadata.
func SameMeta(m store.Metadata) (got store.Metadata, err error) {
	text, err := encodeMeta(&m)
	if err == nil && text != "" {
		err = decodeMeta(&got, []byte(text), new(arena))
	}
	return got, err
}

// DecodeMeta decodes metadata with the store's decoder, and with encoding/json alone.
func DecodeMeta(text []byte) (got, want store.Metadata, gotErr, wantErr error) {
	gotErr = decodeMeta(&got, text, new(arena))
	var m metadata
	wantErr = json.Unmarshal(text, &m)
	return got, store.Metadata(m), gotErr, wantErr
}

// SameID writes an id to a file and reads it back. It reports whether the file has it
// as a blob.
func SameID(e *Engine, id string) (got string, blob bool, err error) {
	v := idValue(id, new([16]byte))
	_, err = e.theirs.conn.one("SELECT ?", func(s *stmt) { got = s.id(0, new(arena)) }, v)
	return got, v.kind == 4, err
}

// conns calls do with each open connection of st. Nothing else may use st meanwhile.
func conns(st *Store, do func(c *conn)) {
	b := st.backend
	b.writer.turn.Lock()
	defer b.writer.turn.Unlock()
	b.writer.forget()
	*b.writer.reader = *newReader(b.writer.conn)
	do(b.writer.conn)
	b.readers.mu.Lock()
	defer b.readers.mu.Unlock()
	for _, r := range b.readers.idle {
		*r = *newReader(r.conn)
		do(r.conn)
	}
}

// Statements returns the statements that the connections of st have prepared.
func Statements(st *Store) []string {
	all := map[string]bool{}
	conns(st, func(c *conn) {
		for query := range c.stmts {
			all[query] = true
		}
	})
	return slices.Sorted(maps.Keys(all))
}

// Break makes query fail on all open connections of st, and empties their caches: when it
// is prepared, or when it is executed. It returns a function that ends that, and tells
// whether query was executed meanwhile.
func Break(st *Store, query string, prepared bool) (mend func() (used bool)) {
	kept, limits := map[*conn]*stmt{}, map[*conn]int32{}
	conns(st, func(c *conn) {
		s, err := c.kept(query)
		if err != nil {
			panic(err)
		}
		kept[c] = s
		delete(c.stmts, query)
		if !prepared {
			limits[c] = lib.Xsqlite3_limit(c.tls, c.db, lib.SQLITE_LIMIT_SQL_LENGTH, 1)
			return
		}
		overflow, _, err := c.prepare("SELECT abs(-9223372036854775807 - 1)" + strings.Repeat(", ?", s.params))
		if err != nil {
			panic(err)
		}
		c.stmts[query] = overflow
	})
	return func() (used bool) {
		conns(st, func(c *conn) {
			s, ok := kept[c]
			if !ok { // opened meanwhile
				return
			}
			if limit, ok := limits[c]; ok {
				lib.Xsqlite3_limit(c.tls, c.db, lib.SQLITE_LIMIT_SQL_LENGTH, limit)
			}
			if broken := c.stmts[query]; broken != nil {
				used = used || broken.size > 0
				broken.finalize()
			}
			c.stmts[query] = s
		})
		return used
	}
}

// UseLogWithout returns the error of using a log where SQLite cannot have one.
func UseLogWithout(path string) error {
	c, err := openConn("file:"+path+"?vfs=unix-dotfile", lib.SQLITE_OPEN_READWRITE|lib.SQLITE_OPEN_CREATE|lib.SQLITE_OPEN_URI)
	if err != nil {
		return err
	}
	return errors.Join(useLog(c), c.close())
}
