package memory

import (
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/evolvego/evolve/store"
)

// shards is the number of locks over which a tenant with more than a few streams
// spreads them.
const shards = 64

// fewStreams is the number of streams that a tenant keeps behind one lock. Many tenants
// never have more.
const fewStreams = 8

// streams holds the streams of a tenant.
type streams struct {
	seed  maphash.Seed
	table atomic.Pointer[streamTable] // replaced once, by spread
}

// streamTable holds streams behind one lock, or behind many.
type streamTable struct {
	shards []streamShard // one, or as many as shards
	mask   uint64        // selects the bits of a hash that are the shard's index
}

// streamShard holds some of the streams, by the hash of their ids. Hashing once and
// comparing the hashes as numbers halves the cost of a lookup.
type streamShard struct {
	mu      sync.Mutex
	streams map[uint64]*stream // guarded by mu, as are the streams
	held    chan struct{}      // guarded by mu; closed when the transaction that appends has ended; nil if there is none
	recent  [4]*common         // guarded by mu; the common parts of recent appends
	oldest  int                // guarded by mu; index in recent of the next one to replace
	moved   bool               // guarded by mu; the streams are in another table now
	_       [56]byte           // no two shards share a cache line
}

func newStreams() *streams {
	x := &streams{seed: maphash.MakeSeed()}
	x.table.Store(&streamTable{make([]streamShard, 1), 0})
	return x
}

// hash returns the hash of the id alone, because streams of different types seldom
// share an id.
func (x *streams) hash(name store.Stream) uint64 { return maphash.String(x.seed, name.ID) }

// hashID returns the hash of an event id.
func (x *streams) hashID(id string) uint64 { return maphash.String(x.seed, id) }

func (t *streamTable) of(hash uint64) *streamShard { return &t.shards[hash&t.mask] }

// enter locks the shard of the streams with this hash, and returns it.
func (x *streams) enter(hash uint64) *streamShard {
	for {
		shard := x.table.Load().of(hash)
		shard.mu.Lock()
		if !shard.moved {
			return shard
		}
		shard.mu.Unlock()
	}
}

// spread moves the streams of shard into a table of many shards, if there are too many
// for one shard. The caller holds the shard's lock, and no transaction may be active.
// If spread returns true, the caller must enter again.
func (x *streams) spread(shard *streamShard) bool {
	if len(x.table.Load().shards) > 1 || len(shard.streams) < fewStreams {
		return false
	}
	t := &streamTable{make([]streamShard, shards), shards - 1}
	for hash, st := range shard.streams {
		t.of(hash).put(hash, st)
	}
	shard.streams, shard.moved = nil, true
	x.table.Store(t)
	return true
}

// hold keeps everyone except the transaction from appending until held is closed; nil
// ends that. When hold returns, no other append is in progress.
func (x *streams) hold(held chan struct{}) {
	t := x.lock()
	defer t.unlock()
	for i := range t.shards {
		t.shards[i].held = held
	}
}

// lock locks all shards, and returns the table.
func (x *streams) lock() *streamTable {
	for {
		t := x.table.Load()
		for i := range t.shards {
			t.shards[i].mu.Lock()
		}
		if !t.shards[0].moved {
			return t
		}
		t.unlock()
	}
}

func (t *streamTable) unlock() {
	for i := range t.shards {
		t.shards[i].mu.Unlock()
	}
}

// view returns the current state of the stream called name. If there is none, it
// returns a stream without events, and false.
func (x *streams) view(name store.Stream) (streamView, bool) {
	hash := x.hash(name)
	shard := x.enter(hash)
	st := shard.find(hash, name)
	if st == nil {
		shard.mu.Unlock()
		return streamView{}, false
	}
	view := st.view()
	shard.mu.Unlock()
	return view, true
}

// find returns the stream called name, or nil if there is none. The caller holds mu.
func (x *streamShard) find(hash uint64, name store.Stream) *stream {
	st := x.streams[hash]
	for st != nil && st.name != name {
		st = st.next
	}
	return st
}

// add adds a new stream to the shard. The caller holds mu and appends to it.
func (x *streamShard) add(hash uint64, name store.Stream) *stream {
	st := &stream{next: x.streams[hash], name: name}
	x.put(hash, st)
	return st
}

func (x *streamShard) put(hash uint64, st *stream) {
	if x.streams == nil {
		x.streams = make(map[uint64]*stream)
	}
	x.streams[hash] = st
}

// stream holds the events of one stream. They never change once version covers them.
// The first event is in the stream itself, because many streams have no more.
type stream struct {
	next    *stream // another stream whose id has the same hash
	name    store.Stream
	version uint64
	last    *common // of the last event
	block   *block  // for the data of the next events
	used    int     // used bytes of block
	more    *more   // nil if there is at most one event
	first   chunk
	row     [1]row
	value   [1]any
}

// more holds the events of a stream after the first.
type more struct {
	chunks []*chunk
	values [][]any // of the chunks, up to the first chunk without values
}

// streamView is the state of a stream at one moment. It can be read without a lock. The
// zero streamView is a stream without events.
type streamView struct {
	version uint64
	first   *chunk
	more    more
}

// view returns the current state of st. The caller holds the shard's lock.
func (st *stream) view() streamView {
	v := streamView{version: st.version, first: &st.first}
	if st.more != nil {
		v.more = *st.more
	}
	return v
}

// roomAfter returns the number of events that fit into the chunk after version, which
// is not the first chunk. Most streams are short, and memory is most of the cost of an
// append. So, unless a stream is very short, its unused room is less than half the
// number of its events. Chunks are never moved.
func roomAfter(version uint64) int {
	switch {
	case version == 1:
		return 3
	case version < 16:
		return 4
	}
	return int(min(version/2, 512))
}

// head returns the version of the stream, or 0 if it has no events.
func (st *stream) head() uint64 {
	if st == nil {
		return 0
	}
	return st.version
}

// at returns the event with version, which must be there.
func (v *streamView) at(version uint64) ref {
	n := v.find(version)
	c := v.chunk(n)
	return ref{c, version - c.base - 1}
}

// find returns the number of the chunk with version, which must exist.
func (v *streamView) find(version uint64) int {
	low, high := 0, len(v.more.chunks) // the possible numbers
	if high > 0 && v.more.chunks[high-1].base < version {
		return high
	}
	for low < high {
		middle := (low + high + 1) / 2
		if v.more.chunks[middle-1].base < version {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low
}

// chunk returns the chunk with this number, from 0.
func (v *streamView) chunk(n int) *chunk {
	if n == 0 {
		return v.first
	}
	return v.more.chunks[n-1]
}

// times holds the times of an append, for rows.
type times struct {
	recorded    time.Time
	nanoseconds int64
}

func newTimes(recorded time.Time) times { return times{recorded, nanoseconds(recorded)} }

// put adds e, which is valid, at position. The caller holds the lock of x, the shard of
// st, and the lock of the log.
func (st *stream) put(x *streamShard, e *store.Event, at *times, position uint64) ref {
	to := st.grow(e)
	shared := st.commonOf(x, e)
	row := to.row()
	row.id, row.position, row.time, row.recorded = e.ID, position, at.nanoseconds, at.nanoseconds
	if !e.Time.IsZero() {
		row.time = nanoseconds(e.Time)
	}
	if len(e.Data) > 0 {
		st.keep(row, e.Data, len(to.chunk.rows)-int(to.index)) //nolint:gosec // as few as rows
	}
	alone := row.time == rarely || row.recorded == rarely
	if e.Value != nil {
		if to.chunk.values != nil {
			to.chunk.values[to.index] = e.Value
		} else {
			alone = true
		}
	}
	if alone {
		shared = withRare(shared, to, e, at)
	}
	row.common = shared
	return to
}

// withRare returns c with the rare fields of e, which is stored at there.
func withRare(c *common, there ref, e *store.Event, at *times) *common {
	own := *c
	own.rare = &rare{time: e.Time.UTC(), recorded: at.recorded}
	if e.Time.IsZero() {
		own.rare.time = at.recorded
	}
	if there.chunk.values == nil {
		own.rare.value = e.Value
	}
	return &own
}

// grow makes room for e at the end of the stream.
func (st *stream) grow(e *store.Event) ref {
	st.version++
	if st.version == 1 {
		st.first = chunk{of: st, rows: st.row[:], values: st.value[:]}
		return ref{&st.first, 0}
	}
	if st.more == nil {
		st.more = new(more)
	}
	m := st.more
	last := &st.first
	if n := len(m.chunks); n > 0 {
		last = m.chunks[n-1]
	}
	if st.version-last.base > uint64(len(last.rows)) {
		last = &chunk{of: st, base: st.version - 1, rows: sized[row](roomAfter(st.version - 1))}
		if e.Value != nil {
			last.values = make([]any, len(last.rows))
			if len(m.values) == len(m.chunks) {
				m.values = append(m.values, last.values)
			}
		}
		m.chunks = append(m.chunks, last)
	}
	return ref{last, st.version - last.base - 1}
}

// sized returns a slice of n elements, or of a few more if the allocator would waste
// that memory.
func sized[T any](n int) []T {
	all := slices.Grow([]T(nil), n)
	return all[:cap(all)]
}

// The size of a block. It is small compared with a long stream, and saves allocations
// for many events.
const (
	maxBlock  = 1 << 14 // unless a single event has more
	fewBlocks = 16      // in events, of the size of the first
)

// keep puts a copy of data into row, the first of the remaining rows of the chunk.
func (st *stream) keep(row *row, data []byte, room int) {
	if st.block == nil || len(st.block.bytes)-st.used < len(data) {
		size := max(len(data), min(min(room, fewBlocks)*len(data), maxBlock))
		st.block, st.used = &block{sized[byte](size)}, 0
	}
	copy(st.block.bytes[st.used:], data)
	row.block, row.start, row.size = st.block, uint32(st.used), uint32(len(data)) //nolint:gosec // at most store.MaxData
	st.used += len(data)
}

// read returns the page that begins at version from. Unless o.ReadOnly is set, it is a
// copy.
func (v *streamView) read(from uint64, o *store.ReadOptions) store.Page {
	if from > v.version {
		return store.Page{Head: v.version, Next: from, End: true}
	}
	n := min(pageLimit(o.Limit), v.version-from+1)
	if o.ReadOnly {
		n = min(n, maxLent)
	}
	events := room(o.Buffer, n)
	number := v.find(from)
	e := ref{v.chunk(number), 0}
	e.index = from - e.chunk.base - 1
	for i := range events {
		if e.index == uint64(len(e.chunk.rows)) {
			number++
			e = ref{v.chunk(number), 0}
		}
		e.lend(&events[i])
		e.index++
	}
	if !o.ReadOnly {
		own(events)
	}
	next := from + n
	return store.Page{Events: events, Head: v.version, Next: next, End: next > v.version}
}

// readBackward returns the page that goes backward from version from; 0 means the last
// version. Unless o.ReadOnly is set, it is a copy.
func (v *streamView) readBackward(o *store.ReadOptions) store.Page {
	from := o.From
	if from == 0 || from > v.version {
		from = v.version
	}
	n := min(pageLimit(o.Limit), from)
	if o.ReadOnly {
		n = min(n, maxLent)
	}
	events := room(o.Buffer, n)
	for i := range events {
		v.at(from - uint64(i)).lend(&events[i])
	}
	if !o.ReadOnly {
		own(events)
	}
	next := from - n
	return store.Page{Events: events, Head: v.version, Next: next, End: next == 0}
}

// room returns a slice with capacity for n events: buffer, if it is large enough.
func room(buffer []store.Recorded, n uint64) []store.Recorded {
	if uint64(cap(buffer)) >= n {
		return buffer[:n:n]
	}
	return make([]store.Recorded, n)
}

// values returns the values that begin at version from, up to the first event that has
// none.
func (v *streamView) values(from uint64) store.Values {
	last := uint64(1) // that is with the values
	if k := len(v.more.values); k > 0 {
		c := v.more.chunks[k-1]
		last = c.base + uint64(len(c.rows))
	}
	if last = min(last, v.version); from > last {
		return store.Values{Head: v.version}
	}
	n := v.find(from)
	c := v.chunk(n)
	return store.LendValues(v.version, last-from+1, c.values[from-c.base-1:], v.more.values[n:])
}
