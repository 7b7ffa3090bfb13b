package sqlite

// This file is the binding to SQLite: the functions of its C API, as translated to Go
// by modernc.org/sqlite/lib, without database/sql in between. All unsafe code of this
// package is here. A uintptr is an address in memory that Go does not manage. This file
// only returns copies of such memory.

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"modernc.org/libc"
	_ "modernc.org/sqlite" // sets up the engine where a platform needs it, and is the driver for applications
	lib "modernc.org/sqlite/lib"
)

// SQLError is an error from SQLite, such as a failed statement in an [Store.Update].
type SQLError struct {
	Code int    // the extended result code, such as 2067 for SQLITE_CONSTRAINT_UNIQUE
	Text string // SQLite's message
}

// Error returns SQLite's message and the code.
func (e *SQLError) Error() string { return e.Text + " (" + strconv.Itoa(e.Code) + ")" }

// conn is a connection. Only one goroutine may use it at a time.
type conn struct {
	tls   *libc.TLS
	db    uintptr
	out   uintptr // two words for the results of functions
	stmts map[string]*stmt
}

// word is the size of a pointer in bytes.
const word = unsafe.Sizeof(uintptr(0))

// openConn opens the file at path. The path is a URI only if flags say so.
func openConn(path string, flags int32) (*conn, error) {
	c := &conn{tls: libc.NewTLS(), stmts: make(map[string]*stmt)}
	c.out = lib.Xsqlite3_malloc64(c.tls, lib.Tsqlite3_uint64(2*word))
	name := c.text(path)
	if c.out == 0 || name == 0 {
		return nil, errors.Join(errNoMemory, c.close())
	}
	defer lib.Xsqlite3_free(c.tls, name)
	// NOMUTEX, because only one goroutine uses it; EXRESCODE, for more precise codes.
	rc := lib.Xsqlite3_open_v2(c.tls, name, c.out, flags|lib.SQLITE_OPEN_NOMUTEX|lib.SQLITE_OPEN_EXRESCODE, 0)
	c.db = load(c.out) // set even after an error, and must then be closed
	if rc != lib.SQLITE_OK {
		return nil, errors.Join(c.fail(rc), c.close())
	}
	// "x" is always a name and never a string, so that a misspelled name is an error.
	c.configure(lib.SQLITE_DBCONFIG_DQS_DML, false)
	c.configure(lib.SQLITE_DBCONFIG_DQS_DDL, false)
	return c, nil
}

// checkpointOnClose sets whether the connection, if it is the last one of the file when
// it is closed, copies the log into the file and deletes the log.
func (c *conn) checkpointOnClose(on bool) { c.configure(lib.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !on) }

func (c *conn) configure(setting int32, on bool) {
	n := int32(0)
	if on {
		n = 1
	}
	args := libc.NewVaList(n, uintptr(0))
	lib.Xsqlite3_db_config(c.tls, c.db, setting, args)
	libc.Xfree(c.tls, args)
}

var errNoMemory = errors.New("out of memory")

// close closes the connection. All statements must be finalized before, except those
// that prepare keeps, which close finalizes.
func (c *conn) close() error {
	for _, s := range c.stmts {
		s.finalize()
	}
	clear(c.stmts)
	var err error
	if c.db != 0 {
		if rc := lib.Xsqlite3_close(c.tls, c.db); rc != lib.SQLITE_OK {
			return c.fail(rc) // the connection stays open, because a statement still uses its memory
		}
		c.db = 0
	}
	lib.Xsqlite3_free(c.tls, c.out)
	c.out = 0
	c.tls.Close()
	return err
}

// fail returns the error for rc, with the connection's message.
func (c *conn) fail(rc int32) error {
	message := lib.Xsqlite3_errstr(c.tls, rc)
	if c.db != 0 && lib.Xsqlite3_extended_errcode(c.tls, c.db) == rc {
		message = lib.Xsqlite3_errmsg(c.tls, c.db)
	}
	return &SQLError{Code: int(rc), Text: libc.GoString(message)}
}

// text returns s as a C string that the caller must free, or 0 if there is no memory.
func (c *conn) text(s string) uintptr {
	p := lib.Xsqlite3_malloc64(c.tls, lib.Tsqlite3_uint64(len(s)+1))
	if p != 0 {
		to := view(p, len(s)+1)
		to[copy(to, s)] = 0
	}
	return p
}

// autocommit reports whether no transaction is open.
func (c *conn) autocommit() bool { return lib.Xsqlite3_get_autocommit(c.tls, c.db) != 0 }

// changed returns the id of the last inserted row, and the number of rows that the last
// statement changed.
func (c *conn) changed() (last, rows int64) {
	return lib.Xsqlite3_last_insert_rowid(c.tls, c.db), lib.Xsqlite3_changes64(c.tls, c.db)
}

// version returns a number that changes when another connection commits, as the open
// transaction sees it.
func (c *conn) version() (uint32, error) {
	if rc := lib.Xsqlite3_file_control(c.tls, c.db, 0, lib.SQLITE_FCNTL_DATA_VERSION, c.out); rc != lib.SQLITE_OK {
		return 0, c.fail(rc)
	}
	return *(*uint32)(pointer(c.out)), nil
}

// readFile reads bytes of the file itself, not of the log, into to. It returns false if
// there are fewer bytes. It uses the connection, because a file loses its locks if
// anything else in the process opens and closes it.
func (c *conn) readFile(to []byte, offset int64) (bool, error) {
	if rc := lib.Xsqlite3_file_control(c.tls, c.db, 0, lib.SQLITE_FCNTL_FILE_POINTER, c.out); rc != lib.SQLITE_OK {
		return false, c.fail(rc)
	}
	file := load(c.out)
	buffer := lib.Xsqlite3_malloc64(c.tls, lib.Tsqlite3_uint64(len(to)))
	if file == 0 || buffer == 0 {
		return false, errNoMemory
	}
	defer lib.Xsqlite3_free(c.tls, buffer)
	methods := (*lib.Tsqlite3_file)(pointer(file)).FpMethods
	read := (*lib.Tsqlite3_io_methods)(pointer(methods)).FxRead
	call := *(*func(*libc.TLS, uintptr, uintptr, int32, lib.Tsqlite_int64) int32)(unsafe.Pointer(&struct{ uintptr }{read})) //nolint:gosec // a function of C is called so
	switch rc := call(c.tls, file, buffer, int32(len(to)), offset); rc {                                                    //nolint:gosec // a page
	case lib.SQLITE_OK:
		copy(to, view(buffer, len(to)))
		return true, nil
	case lib.SQLITE_IOERR_SHORT_READ:
		return false, nil
	default:
		return false, c.fail(rc)
	}
}

// prepare prepares the first statement of query and returns the rest of query. The
// statement is nil if there is only white space or comments.
func (c *conn) prepare(query string) (s *stmt, rest string, err error) {
	if len(query) > math.MaxInt32-1 {
		return nil, "", &SQLError{Code: lib.SQLITE_TOOBIG, Text: "SQL is too long"}
	}
	sql := c.text(query)
	if sql == 0 {
		return nil, "", errNoMemory
	}
	defer lib.Xsqlite3_free(c.tls, sql)
	//nolint:gosec // as checked above
	rc := lib.Xsqlite3_prepare_v3(c.tls, c.db, sql, int32(len(query)+1), lib.SQLITE_PREPARE_PERSISTENT, c.out, c.out+word)
	if rc != lib.SQLITE_OK {
		return nil, "", c.fail(rc)
	}
	if tail := load(c.out + word); tail >= sql && tail-sql <= uintptr(len(query)) {
		rest = query[tail-sql:]
	}
	p := load(c.out)
	if p == 0 {
		return nil, rest, nil
	}
	s = &stmt{conn: c, p: p, params: int(lib.Xsqlite3_bind_parameter_count(c.tls, p))}
	return s, rest, nil
}

// kept returns query, which must be one statement, as a prepared statement that it
// keeps for later calls.
func (c *conn) kept(query string) (*stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, _, err := c.prepare(query)
	if err == nil && s == nil {
		err = &SQLError{Code: lib.SQLITE_MISUSE, Text: "no statement"}
	}
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	c.stmts[query] = s
	return s, nil
}

// stmt is a prepared statement. To execute it, call bind, then step until there are no
// more rows, then reset.
type stmt struct {
	conn   *conn
	p      uintptr
	params int
	busy   bool // between bind and reset
	buffer uintptr
	size   int // of buffer
}

func (s *stmt) finalize() {
	lib.Xsqlite3_finalize(s.conn.tls, s.p)
	lib.Xsqlite3_free(s.conn.tls, s.buffer)
	s.p, s.buffer, s.size = 0, 0, 0
}

func (s *stmt) reset() {
	lib.Xsqlite3_reset(s.conn.tls, s.p) // returns the error of the last step again
	s.busy = false
}

// value is a value to bind to a parameter: NULL, or a value of one of SQLite's other
// types.
type value struct {
	kind byte // SQLITE_INTEGER, …; 0 is NULL
	bits uint64
	data string
}

func number[N ~int | ~int64 | ~uint64 | ~uint32](n N) value {
	return value{kind: lib.SQLITE_INTEGER, bits: uint64(n)}
}
func float(f float64) value { return value{kind: lib.SQLITE_FLOAT, bits: math.Float64bits(f)} }
func text(s string) value   { return value{kind: lib.SQLITE_TEXT, data: s} }

// blob returns b as a value. b must not change before it is bound.
func blob(b []byte) value {
	return value{kind: lib.SQLITE_BLOB, data: unsafe.String(unsafe.SliceData(b), len(b))} //nolint:gosec // bind copies it
}

// bind binds args to all parameters. It copies the data that args refer to into a
// buffer of the statement, where it stays until the next bind.
func (s *stmt) bind(args []value) error {
	if len(args) != s.params {
		return &SQLError{Code: lib.SQLITE_MISUSE, Text: fmt.Sprintf("the statement has %d parameters, but got %d arguments", s.params, len(args))}
	}
	need := 1 // a pointer to an empty buffer must not be nil, because nil means NULL
	for i := range args {
		need += len(args[i].data)
	}
	if need > math.MaxInt32 {
		return &SQLError{Code: lib.SQLITE_TOOBIG, Text: "the arguments are too large"}
	}
	tls := s.conn.tls
	if need > s.size || s.size > keptBuffer && need <= keptBuffer {
		lib.Xsqlite3_free(tls, s.buffer)
		s.size = max(need, 256)
		if s.buffer = lib.Xsqlite3_malloc64(tls, lib.Tsqlite3_uint64(s.size)); s.buffer == 0 { //nolint:gosec // a length
			s.size = 0
			return errNoMemory
		}
	}
	s.busy = true
	free := view(s.buffer, s.size)
	at := s.buffer
	for i := range args {
		a := &args[i]
		n, param := int32(len(a.data)), int32(i+1) //nolint:gosec // as checked above
		var rc int32
		switch a.kind {
		case lib.SQLITE_INTEGER:
			rc = lib.Xsqlite3_bind_int64(tls, s.p, param, lib.Tsqlite_int64(a.bits)) //nolint:gosec // as number has it
		case lib.SQLITE_FLOAT:
			rc = lib.Xsqlite3_bind_double(tls, s.p, param, math.Float64frombits(a.bits))
		case lib.SQLITE_TEXT:
			rc = lib.Xsqlite3_bind_text(tls, s.p, param, at, n, lib.SQLITE_STATIC)
		case lib.SQLITE_BLOB:
			rc = lib.Xsqlite3_bind_blob(tls, s.p, param, at, n, lib.SQLITE_STATIC)
		default:
			rc = lib.Xsqlite3_bind_null(tls, s.p, param)
		}
		if rc != lib.SQLITE_OK {
			return s.conn.fail(rc)
		}
		free = free[copy(free, a.data):]
		at += uintptr(n)
	}
	return nil
}

// keptBuffer is the maximum size of the buffer that a statement keeps.
const keptBuffer = 1 << 20

// step goes to the next row and reports whether there is one.
func (s *stmt) step() (bool, error) {
	switch rc := lib.Xsqlite3_step(s.conn.tls, s.p); rc {
	case lib.SQLITE_ROW:
		return true, nil
	case lib.SQLITE_DONE:
		return false, nil
	default:
		return false, s.conn.fail(rc)
	}
}

// The values in the columns of a row. They are valid until the next step or reset.

func (s *stmt) int(column int32) int64 {
	return lib.Xsqlite3_column_int64(s.conn.tls, s.p, column)
}

func (s *stmt) uint(column int32) uint64 { return uint64(s.int(column)) } //nolint:gosec // as number has it

func (s *stmt) float(column int32) float64 {
	return lib.Xsqlite3_column_double(s.conn.tls, s.p, column)
}

func (s *stmt) kind(column int32) int32 { return lib.Xsqlite3_column_type(s.conn.tls, s.p, column) }

func (s *stmt) text(column int32) string { return string(s.bytes(column)) }

func (s *stmt) blob(column int32) []byte { return append([]byte{}, s.bytes(column)...) }

// bytes returns the bytes of a text or blob without copying them. The caller must copy
// them before the next step or reset.
func (s *stmt) bytes(column int32) []byte {
	p := lib.Xsqlite3_column_blob(s.conn.tls, s.p, column) // must be called before the length is read
	n := lib.Xsqlite3_column_bytes(s.conn.tls, s.p, column)
	if p == 0 || n <= 0 { // nil for an empty value
		return nil
	}
	return view(p, int(n))
}

// parameter returns the name of a parameter including its first character, or "" for a
// ?.
func (s *stmt) parameter(i int) string {
	return libc.GoString(lib.Xsqlite3_bind_parameter_name(s.conn.tls, s.p, int32(i+1))) //nolint:gosec // there are few
}

// columns returns the names of the columns and their declared types.
func (s *stmt) columns() (names, types []string) {
	for i := range lib.Xsqlite3_column_count(s.conn.tls, s.p) {
		names = append(names, libc.GoString(lib.Xsqlite3_column_name(s.conn.tls, s.p, i)))
		types = append(types, libc.GoString(lib.Xsqlite3_column_decltype(s.conn.tls, s.p, i)))
	}
	return names, types
}

// arena copies small values into larger allocations.
type arena struct {
	free []byte
	next int // the size of the next allocation
}

// text returns src as a string.
func (a *arena) text(src []byte) string {
	b := a.bytes(src)
	return unsafe.String(unsafe.SliceData(b), len(b)) //nolint:gosec // nobody else has b
}

// bytes returns a copy of src, or nil if src is empty.
func (a *arena) bytes(src []byte) []byte {
	n := len(src)
	if n > len(a.free) {
		const smallest, largest = 512, 16 << 10
		if n > largest/4 {
			return append([]byte(nil), src...)
		}
		a.next = max(smallest, min(2*a.next, largest), n)
		a.free = make([]byte, a.next)
	}
	if n == 0 {
		return nil
	}
	b := a.free[:n:n]
	a.free = a.free[copy(b, src):]
	return b
}

// pointer returns p as a pointer to memory of C.
func pointer(p uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&p)) } //nolint:gosec // it is no memory of Go

// view returns the n bytes of C memory at p.
func view(p uintptr, n int) []byte { return unsafe.Slice((*byte)(pointer(p)), n) } //nolint:gosec // callers know that they are there

// load returns the C pointer stored at p.
func load(p uintptr) uintptr { return *(*uintptr)(pointer(p)) }
