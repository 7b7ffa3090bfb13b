package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	lib "modernc.org/sqlite/lib"
)

// maxTheirs is the maximum number of callers' statements that are kept prepared.
const maxTheirs = 256

// theirs executes the SQL of the callers of Update on the connection of the writer. It
// accepts and returns the same values as the driver modernc.org/sqlite, so that the
// driver can read what is written here.
type theirs struct {
	conn  *conn
	stmts map[string]*stmt
	rows  *sql.DB // makes rows of database/sql, which only that package can make; nil until needed
}

// prepare returns query prepared, and a function that releases it. If there are no
// args, query may be several statements; prepare executes all but the last.
func (t *theirs) prepare(query string, hasArgs bool) (s *stmt, release func(), err error) {
	if s, ok := t.stmts[query]; ok && !s.busy {
		return s, s.reset, nil
	}
	s, rest, err := t.conn.prepare(query)
	for err == nil && !blank(rest) {
		if s != nil {
			if hasArgs {
				err = errors.New("several statements with arguments: execute them one by one")
			} else {
				err = s.run(nil, func() (bool, error) { return true, nil })
			}
			s.finalize()
		}
		if err == nil {
			s, rest, err = t.conn.prepare(rest)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, func() {}, nil
	}
	if _, there := t.stmts[query]; there || !hasArgs {
		return s, s.finalize, nil
	}
	if len(t.stmts) >= maxTheirs {
		t.drop()
	}
	if t.stmts == nil {
		t.stmts = make(map[string]*stmt)
	}
	t.stmts[query] = s
	return s, s.reset, nil
}

// blank reports whether query has no statement.
func blank(query string) bool {
	for {
		query = strings.TrimLeft(query, "; \t\n\f\r")
		var rest string
		var found bool
		switch {
		case strings.HasPrefix(query, "--"):
			_, rest, found = strings.Cut(query, "\n")
		case strings.HasPrefix(query, "/*"):
			_, rest, found = strings.Cut(query[2:], "*/")
		default:
			return query == ""
		}
		if !found {
			return true
		}
		query = rest
	}
}

// drop finalizes the statements that are not in use.
func (t *theirs) drop() {
	for query, s := range t.stmts {
		if !s.busy {
			s.finalize()
			delete(t.stmts, query)
		}
	}
}

// close finalizes all statements.
func (t *theirs) close() {
	if t.rows != nil {
		_ = t.rows.Close() // closes no connection
	}
	t.drop()
}

// exec executes query.
func (t *theirs) exec(query string, args []any) (sql.Result, error) {
	s, release, err := t.prepare(query, len(args) > 0)
	if err != nil {
		return nil, err
	}
	if s != nil {
		defer release()
		values, err := s.values(args)
		if err != nil {
			return nil, err
		}
		if err := s.run(values, func() (bool, error) { return true, nil }); err != nil {
			return nil, err
		}
	}
	var r result
	r.last, r.rows = t.conn.changed()
	return r, nil
}

// query executes query. The caller must close the rows.
func (t *theirs) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if t.rows == nil {
		t.rows = sql.OpenDB(t)
	}
	return t.rows.QueryContext(ctx, query, args...)
}

type result struct{ last, rows int64 }

func (r result) LastInsertId() (int64, error) { return r.last, nil }
func (r result) RowsAffected() (int64, error) { return r.rows, nil }

// values returns args in the order of the parameters of s.
func (s *stmt) values(args []any) ([]value, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		named[i].Ordinal = i + 1
		if n, ok := arg.(sql.NamedArg); ok {
			named[i].Name, arg = n.Name, n.Value
		}
		var err error
		if named[i].Value, err = driver.DefaultParameterConverter.ConvertValue(arg); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return s.bound(named)
}

// bound returns the value for each parameter of s, by its name or its number.
func (s *stmt) bound(args []driver.NamedValue) ([]value, error) {
	values := make([]value, s.params)
	for i := range values {
		arg, ok := find(args, i+1, s.parameter(i))
		if !ok {
			return nil, fmt.Errorf("no argument for parameter %d of %d", i+1, s.params)
		}
		var err error
		if values[i], err = valueOf(arg); err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return values, nil
}

func find(args []driver.NamedValue, ordinal int, name string) (driver.Value, bool) {
	for i := range args {
		a := &args[i]
		if a.Name != "" && name != "" && a.Name == name[1:] || a.Name == "" && a.Ordinal == ordinal {
			return a.Value, true
		}
	}
	return nil, false
}

func valueOf(v driver.Value) (value, error) {
	switch v := v.(type) {
	case nil:
		return value{}, nil
	case int64:
		return number(v), nil
	case float64:
		return float(v), nil
	case bool:
		if v {
			return number(1), nil
		}
		return number(0), nil
	case []byte:
		if v == nil {
			return value{}, nil
		}
		return blob(v), nil
	case string:
		return text(v), nil
	case time.Time:
		return text(v.String()), nil
	}
	return value{}, fmt.Errorf("%T cannot be bound", v)
}

// Connect, Driver, Prepare, Close, Begin and QueryContext implement driver.Connector
// and driver.Conn.
func (t *theirs) Connect(context.Context) (driver.Conn, error) { return t, nil }

func (t *theirs) Driver() driver.Driver { return noDriver{} }

func (*theirs) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (*theirs) Close() error                        { return nil }
func (*theirs) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported }

type noDriver struct{}

func (noDriver) Open(string) (driver.Conn, error) { return nil, errors.ErrUnsupported }

func (t *theirs) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, release, err := t.prepare(query, len(args) > 0)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return &rows{}, nil
	}
	values, err := s.bound(args)
	if err == nil {
		err = s.bind(values)
	}
	if err != nil {
		release()
		return nil, err
	}
	r := &rows{stmt: s, release: release}
	r.names, r.types = s.columns()
	return r, nil
}

// rows is a driver.Rows.
type rows struct {
	stmt         *stmt // nil if there are no rows
	release      func()
	names, types []string
}

func (r *rows) Columns() []string { return r.names }

func (r *rows) ColumnTypeDatabaseTypeName(i int) string { return strings.ToUpper(r.types[i]) }

func (r *rows) Close() error {
	if r.stmt != nil {
		r.release()
		r.stmt = nil
	}
	return nil
}

func (r *rows) Next(to []driver.Value) error {
	if r.stmt == nil {
		return io.EOF
	}
	found, err := r.stmt.step()
	if err != nil {
		return err
	}
	if !found {
		return io.EOF
	}
	for i := range to {
		column := int32(i)
		switch r.stmt.kind(column) {
		case lib.SQLITE_INTEGER:
			to[i] = r.stmt.int(column)
		case lib.SQLITE_FLOAT:
			to[i] = r.stmt.float(column)
		case lib.SQLITE_TEXT:
			to[i] = asTime(r.stmt.text(column), r.ColumnTypeDatabaseTypeName(i))
		case lib.SQLITE_BLOB:
			to[i] = r.stmt.blob(column)
		default:
			to[i] = nil
		}
	}
	return nil
}

// asTime returns text as a time if the type of the column is a time.
func asTime(text, columnType string) driver.Value {
	switch columnType {
	case "DATE", "DATETIME", "TIMESTAMP":
	default:
		return text
	}
	plain, _, _ := strings.Cut(text, " m=")
	if at, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", plain); err == nil {
		return at
	}
	plain = strings.TrimSuffix(text, "Z")
	for _, layout := range [...]string{
		"2006-01-02 15:04:05.999999999-07:00", "2006-01-02T15:04:05.999999999-07:00",
		"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999",
		"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02",
	} {
		if at, err := time.Parse(layout, plain); err == nil {
			return at
		}
	}
	return text
}
