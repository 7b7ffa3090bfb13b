package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// The log next to a file, its WAL, has pages that are newer than those of the file.
// Nothing in it says which file it belongs to. SQLite applies it to whatever file it
// finds. So if a backup is copied over a file whose log is still there, the first
// program that opens it damages it. The code below notices this before SQLite has read
// the log. The format is described in https://sqlite.org/fileformat2.html#walformat.

// checkLog returns an error if the log next to the file belongs to another file. c has
// the file open but has not read it yet.
func (p *place) checkLog(c *conn) error {
	log, err := readWAL(p.real + "-wal")
	if err != nil || log == nil {
		return err
	}
	var header [100]byte // of the file; read it and the size after the log, which only grows
	if whole, err := c.readFile(header[:], 0); err != nil || !whole {
		return err
	}
	info, err := os.Stat(p.real)
	if err != nil {
		return err
	}
	reason, certain := log.doubts(header[:], info.Size())
	if reason == "" {
		reason, err = c.identify(log)
		certain = true
	}
	if reason == "" || err != nil {
		return err
	}
	if !certain {
		damage, err := c.damage()
		if err != nil || damage == "" {
			return err
		}
		reason += "; together they are damaged: " + damage
	}
	name := filepath.Base(p.path)
	return &FileError{p.path, ErrCorrupt, fmt.Errorf(
		"%q is the log of another file: %s. If %q was restored from a backup, move %q and %q away and open it again",
		name+"-wal", reason, name, name+"-wal", name+"-shm")}
}

// identify compares the ids of the log and the file. It returns the reason why the log
// cannot belong to the file, or "" if it can. The log contains the id that its first
// writer gave to the file, and the id that the file had before. A file that has neither
// is a different file, or a different state of it.
func (c *conn) identify(log *wal) (reason string, err error) {
	c.checkpointOnClose(false) // reading with SQL opens the log
	root, err := c.number("SELECT coalesce(max(rootpage), 0) FROM sqlite_schema WHERE type = 'table' AND name = 'file'")
	if err != nil {
		return "", err
	}
	if _, ok := log.pages[uint32(root)]; ok { //nolint:gosec // a page
		var id, last []byte
		if _, err := c.one("SELECT id, last FROM file", func(s *stmt) { id, last = s.blob(0), s.blob(1) }); err != nil {
			return "", err
		}
		page := make([]byte, log.pageSize)
		whole, err := c.readFile(page, (root-1)*int64(log.pageSize))
		if err != nil {
			return "", err
		}
		unwritten := !whole || len(bytes.Trim(page, "\x00")) == 0
		// The row begins with the sizes of two blobs, followed by the blobs.
		is := func(id []byte) bool { return bytes.Contains(page, append([]byte{3, 44, 44}, id...)) }
		if !unwritten && !is(id) && !is(last) {
			return fmt.Sprintf("it belongs to file %x, previously %x, and this file is neither", id, last), nil
		}
	}
	c.checkpointOnClose(true)
	return "", nil
}

// mark gives the file a new id if nobody has written to its log yet.
func (w *writer) mark() error {
	if w.backend.place.logSize() > 0 {
		return nil
	}
	err := w.begin(busyTimeout)
	if err == nil && w.backend.place.logSize() == 0 { // nobody else can write to it now
		err = w.exec("UPDATE file SET last = id, id = randomblob(16)")
	}
	if err == nil {
		err = w.exec("COMMIT")
	}
	if !w.autocommit() {
		err = errors.Join(err, w.exec("ROLLBACK"))
	}
	if kind := kindOf(err); kind == ErrReadOnly || kind == ErrFull { //nolint:errorlint // as it is
		return nil // the file can still be read
	}
	return err
}

// damage returns what SQLite's integrity check finds, or "" for nothing. If it finds
// something, closing the connection does not change the file and its log.
func (c *conn) damage() (string, error) {
	c.checkpointOnClose(false)
	found := ""
	_, err := c.one("PRAGMA integrity_check(1)", func(s *stmt) { found = s.text(0) })
	switch {
	case err != nil && kindOf(err) != nil && !errors.Is(kindOf(err), ErrCorrupt):
		return "", err
	case err != nil:
		return err.Error(), nil //nolint:nilerr // it is what was looked for
	case found != "ok":
		return found, nil
	}
	c.checkpointOnClose(true)
	return "", nil
}

// wal describes the valid part of a log, up to the last commit.
type wal struct {
	pageSize uint32
	size     uint32              // size of the file in pages, after the last commit
	pages    map[uint32]struct{} // the pages that it has
	counters []uint32            // the change counter of the file, in each copy of its first page
}

const (
	walHeader   = 32
	frameHeader = 24
)

// readWAL reads the log at path, and returns nil if there is none or it has no valid
// part.
func readWAL(path string) (*wal, error) {
	f, err := os.Open(path) //nolint:gosec // SQLite has no locks on it, and so none to lose
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // none
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseWAL(bufio.NewReaderSize(f, 1<<16))
}

// parseWAL is readWAL for the bytes of r. It returns an error only if reading r fails:
// the log ends where it is no longer valid.
func parseWAL(r io.Reader) (*wal, error) {
	var header [walHeader]byte
	if ok, err := readFull(r, header[:]); !ok {
		return nil, err
	}
	words := func(i int) uint32 { return binary.BigEndian.Uint32(header[4*i:]) }
	const magic = 0x377f0682
	var order binary.ByteOrder = binary.LittleEndian
	if words(0) == magic|1 {
		order = binary.BigEndian
	}
	var sum checksum
	sum.add(order, header[:24])
	w := &wal{pageSize: words(2), pages: make(map[uint32]struct{})}
	if words(0)&^1 != magic || sum != (checksum{words(6), words(7)}) || w.pageSize < 512 || w.pageSize > 65536 {
		return nil, nil //nolint:nilnil // SQLite takes it for empty
	}
	frame := make([]byte, frameHeader+w.pageSize)
	var pending []uint32 // pages since the last commit
	var counters []uint32
	for {
		ok, err := readFull(r, frame)
		if err != nil {
			return nil, err
		}
		number, size := binary.BigEndian.Uint32(frame), binary.BigEndian.Uint32(frame[4:])
		sum.add(order, frame[:8])
		sum.add(order, frame[frameHeader:])
		same := binary.BigEndian.Uint32(frame[8:]) == words(4) && binary.BigEndian.Uint32(frame[12:]) == words(5)
		if !ok || !same || number == 0 || sum != (checksum{binary.BigEndian.Uint32(frame[16:]), binary.BigEndian.Uint32(frame[20:])}) {
			break
		}
		pending = append(pending, number)
		if number == 1 {
			counters = append(counters, binary.BigEndian.Uint32(frame[frameHeader+24:]))
		}
		if size == 0 {
			continue
		}
		w.size = size
		for _, page := range pending {
			w.pages[page] = struct{}{}
		}
		w.counters = append(w.counters, counters...)
		pending, counters = pending[:0], counters[:0]
	}
	if w.size == 0 {
		return nil, nil //nolint:nilnil // nothing was committed
	}
	return w, nil
}

// readFull fills to, and reports whether there were enough bytes.
func readFull(r io.Reader, to []byte) (bool, error) {
	_, err := io.ReadFull(r, to)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return false, nil
	}
	return err == nil, err
}

// checksum is the checksum of everything added to it, in the format of a WAL.
type checksum [2]uint32

func (c *checksum) add(order binary.ByteOrder, data []byte) {
	for ; len(data) >= 8; data = data[8:] {
		c[0] += order.Uint32(data) + c[1]
		c[1] += order.Uint32(data[4:]) + c[0]
	}
}

// doubts returns the reason why the log cannot belong to the file with this header and
// size, or "" if it can. It also returns whether the reason is certain.
func (w *wal) doubts(header []byte, size int64) (reason string, certain bool) {
	pageSize := uint32(binary.BigEndian.Uint16(header[16:]))
	if pageSize == 1 {
		pageSize = 65536
	}
	if pageSize != w.pageSize {
		return fmt.Sprintf("its pages have %d bytes, but those of the file have %d", w.pageSize, pageSize), true
	}
	if header[18] != 2 || header[19] != 2 {
		return "the file is not in WAL mode, like a copy made by VACUUM INTO", true
	}
	// Each page is in the file or in the log, except the page at 1 GiB, which SQLite never
	// uses.
	unused := uint32(1<<30/int64(pageSize)) + 1 //nolint:gosec // it is small
	for page := size/int64(pageSize) + 1; page <= int64(w.size); page++ {
		if _, ok := w.pages[uint32(page)]; !ok && uint32(page) != unused { //nolint:gosec // at most w.size
			return fmt.Sprintf("it says that the file has %d pages, but neither of them has page %d", w.size, page), false
		}
	}
	// A writer of the first page increments the change counter that it has read there. If
	// the log was copied into the file before, its counter is in the file.
	if changes := binary.BigEndian.Uint32(header[24:]); len(w.counters) > 0 {
		low, high := uint32(math.MaxUint32), uint32(0)
		for _, c := range w.counters {
			low, high = min(low, c), max(high, c)
		}
		if changes+1 < low || changes > high {
			return fmt.Sprintf("it continues after change %d of the file, but the file is at change %d", low-1, changes), false
		}
	}
	return "", false
}
