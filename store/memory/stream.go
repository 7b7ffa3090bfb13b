package memory

import (
	"hash/maphash"
	"maps"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

// shards is the number of locks over which a tenant with more than a few streams or ids
// spreads them. A set of id shards is a uint64.
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
	moved   bool               // guarded by mu; the streams are in another table now
	_       [32]byte           // fills a cache line
}

func newStreams() *streams {
	x := &streams{seed: maphash.MakeSeed()}
	x.table.Store(&streamTable{make([]streamShard, 1), 0})
	return x
}

// hash returns the hash of the id alone, because streams of different types seldom
// share an id.
func (x *streams) hash(name store.Stream) uint64 { return maphash.String(x.seed, name.ID) }

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
	for st != nil && st.first[0].Stream != name {
		st = st.next
	}
	return st
}

// add adds a new stream to the shard. The caller holds mu and appends to it.
func (x *streamShard) add(hash uint64, name store.Stream) *stream {
	st := &stream{next: x.streams[hash]}
	st.first[0].Stream = name
	x.put(hash, st)
	return st
}

func (x *streamShard) put(hash uint64, st *stream) {
	if x.streams == nil {
		x.streams = make(map[uint64]*stream)
	}
	x.streams[hash] = st
}

// stream holds the events of one stream. An event never changes once version includes
// it. A single event is stored in the stream itself, because many streams have no more;
// its Stream field is the stream's name.
type stream struct {
	next    *stream // another stream whose id has the same hash
	version uint64
	chunks  [][]store.Recorded // filled up to version; nil if there is only first
	first   [1]store.Recorded
}

// streamView is the state of a stream at one moment. It can be read without a lock.
type streamView struct {
	version uint64
	chunks  [][]store.Recorded
	first   []store.Recorded
}

// view returns the current state of st. The caller holds the shard's lock.
func (st *stream) view() streamView {
	return streamView{st.version, st.chunks, st.first[:]}
}

// A page that is a view ends at the end of a chunk, so chunks should be long. But most
// streams are short, and memory is most of the cost of an append. So the first chunk is
// short, each of the next ones makes the stream four times as long, up to 1024 events,
// and each later chunk holds as many events as a default page. Chunks are never moved.
const (
	shortChunks = 5
	shortEvents = 1 << (2 * shortChunks) // events in all short chunks
	chunkSize   = store.DefaultLimit
)

// locate returns the chunk that holds the event after version, and its index in that
// chunk.
func locate(version uint64) (chunk, index uint64) {
	if version >= shortEvents {
		version -= shortEvents
		return shortChunks + version/chunkSize, version % chunkSize
	}
	if version < 4 {
		return 0, version
	}
	chunk = uint64(bits.Len64(version)-1) / 2 //nolint:gosec // 0 to 63
	return chunk, version - 1<<(2*chunk)
}

// sizeOf returns the number of events that fit into chunk.
func sizeOf(chunk uint64) uint64 {
	switch {
	case chunk >= shortChunks:
		return chunkSize
	case chunk == 0:
		return 4
	}
	return 3 << (2 * chunk)
}

// head returns the version of the stream, or 0 if it has no events.
func (st *stream) head() uint64 {
	if st == nil {
		return 0
	}
	return st.version
}

// chunk returns chunk n.
func (v *streamView) chunk(n uint64) []store.Recorded {
	if v.chunks == nil {
		return v.first
	}
	return v.chunks[n]
}

// at returns the event with version, which must be there.
func (v *streamView) at(version uint64) *store.Recorded {
	chunk, index := locate(version - 1)
	return &v.chunk(chunk)[index]
}

// fill appends the events of b. The caller holds the shard's lock, and assigns the
// positions before it unlocks.
func (st *stream) fill(b *batch) {
	data := b.data
	for i := range b.events {
		r := st.grow()
		r.Event = b.events[i]
		r.Stream, r.Version, r.RecordedAt = st.first[0].Stream, st.version, b.at
		n := len(r.Data)
		r.Data, data = data[:n:n], data[n:]
		complete(&r.Event, b)
	}
}

// grow appends an event and returns it for the caller to fill in.
func (st *stream) grow() *store.Recorded {
	chunk, index := locate(st.version)
	st.version++
	if st.version == 1 {
		return &st.first[0]
	}
	if chunk == uint64(len(st.chunks)) {
		st.chunks = append(st.chunks, make([]store.Recorded, sizeOf(chunk)))
	}
	if st.version == 2 {
		st.chunks[0][0] = st.first[0]
	}
	return &st.chunks[chunk][index]
}

// complete fills in the fields of e that are left to the store, and copies its headers.
func complete(e *store.Event, b *batch) {
	if len(e.Data) == 0 {
		e.Data = nil
	}
	if e.ContentType == "" {
		e.ContentType = store.OctetStream
	}
	if e.Time.IsZero() {
		e.Time = b.at
	} else {
		e.Time = e.Time.UTC()
	}
	if len(e.Meta.Headers) > 0 {
		e.Meta.Headers = maps.Clone(e.Meta.Headers)
	} else {
		e.Meta.Headers = nil
	}
}

// lend returns a page that begins at version from and ends, at the latest, at the end
// of its chunk. The page is a view, not a copy.
func (v *streamView) lend(from, limit uint64) store.Page {
	if from > v.version {
		return v.forward(nil, from)
	}
	chunk, index := locate(from - 1)
	events := v.chunk(chunk)
	end := min(index+min(limit, v.version-from+1), uint64(len(events)))
	return v.forward(events[index:end:end], from+end-index)
}

// read returns a copy of the page that begins at version from.
func (v *streamView) read(from, limit uint64) store.Page {
	if from > v.version {
		return v.forward(nil, from)
	}
	events := make([]*store.Recorded, min(limit, v.version-from+1))
	for i := range events {
		events[i] = v.at(from + uint64(i))
	}
	return v.forward(copies(events), from+uint64(len(events)))
}

// forward returns the page with events, which end just before version next.
func (v *streamView) forward(events []store.Recorded, next uint64) store.Page {
	return store.Page{Events: events, Head: v.version, Next: next, End: next > v.version}
}

// readBackward returns a copy of the page that goes backward from version from; 0 means
// the last version.
func (v *streamView) readBackward(from, limit uint64) store.Page {
	if from == 0 || from > v.version {
		from = v.version
	}
	events := make([]*store.Recorded, min(limit, from))
	for i := range events {
		events[i] = v.at(from - uint64(i))
	}
	next := from - uint64(len(events))
	return store.Page{Events: copies(events), Head: v.version, Next: next, End: next == 0}
}
