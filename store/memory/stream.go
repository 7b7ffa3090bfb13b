package memory

import (
	"hash/maphash"
	"maps"
	"sync"

	"github.com/evolvego/evolve/store"
)

// shards is over how many locks the streams, and the ids, of a tenant are
// spread. A set of shards of the ids is a uint64.
const shards = 64

// streams are the streams of a tenant.
type streams struct {
	seed   maphash.Seed
	shards [shards]streamShard
}

// streamShard is some of the streams, by the hash of their names: a hash that is
// made once, and compared as a number, is half the price of a look-up.
type streamShard struct {
	mu      sync.Mutex
	streams map[uint64]*stream // guarded by mu, as are the streams
	held    chan struct{}      // guarded by mu; closed when the transaction that appends has ended; nil: none does
	_       [40]byte           // a cache line for each shard
}

func newStreams() *streams {
	return &streams{seed: maphash.MakeSeed()}
}

func (x *streams) hash(name store.Stream) uint64 { return maphash.Comparable(x.seed, name) }

func (x *streams) of(hash uint64) *streamShard { return &x.shards[hash%shards] }

// hold keeps everybody but a transaction from appending until held is closed; nil ends
// that. When it returns, no other append is under way.
func (x *streams) hold(held chan struct{}) {
	for i := range x.shards {
		x.shards[i].mu.Lock()
		x.shards[i].held = held
		x.shards[i].mu.Unlock()
	}
}

func (x *streams) lock() {
	for i := range x.shards {
		x.shards[i].mu.Lock()
	}
}

func (x *streams) unlock() {
	for i := range x.shards {
		x.shards[i].mu.Unlock()
	}
}

// view returns the stream called name as it is now, and false, with one that has
// no events, if there is none.
func (x *streams) view(name store.Stream) (stream, bool) {
	hash := x.hash(name)
	shard := x.of(hash)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if st := shard.find(hash, name); st != nil {
		return *st, true
	}
	return stream{}, false
}

// find returns the stream called name, nil if there is none. The caller holds mu.
func (x *streamShard) find(hash uint64, name store.Stream) *stream {
	st := x.streams[hash]
	for st != nil && st.name != name {
		st = st.next
	}
	return st
}

// add puts a new stream into the shard. The caller holds mu and will append.
func (x *streamShard) add(hash uint64, name store.Stream) *stream {
	if x.streams == nil {
		x.streams = make(map[uint64]*stream)
	}
	st := &stream{name: name, next: x.streams[hash]}
	x.streams[hash] = st
	return st
}

// stream is the events of one stream. They never change once version covers them,
// nor do chunks that are full, so a copy of the struct, taken under the shard's lock,
// is a view that can be read without.
type stream struct {
	name    store.Stream
	next    *stream // whose name has the same hash
	version uint64
	chunks  [][]store.Recorded // filled up to version
}

// A page that is lent ends at the end of a chunk, so chunks are long; but most
// streams are short, and memory is most of the price of an append, so the first
// ones are not. A stream that is longer than those has its events moved into a
// long chunk.
const (
	shortChunks = 4
	shortEvents = 256 // in all shortChunks
	chunkSize   = 1024
)

// chunkSizes returns the sizes of the short chunks.
func chunkSizes() [shortChunks]uint64 { return [shortChunks]uint64{4, 12, 48, 192} }

// locate returns the chunk, and the index in it, of the event after version.
func (x *stream) locate(version uint64) (chunk, index uint64) {
	if x.version > shortEvents {
		return version / chunkSize, version % chunkSize
	}
	sizes := chunkSizes()
	for version >= sizes[chunk] {
		version -= sizes[chunk]
		chunk++
	}
	return chunk, version
}

// head returns the version of the stream, 0 if there is none.
func (x *stream) head() uint64 {
	if x == nil {
		return 0
	}
	return x.version
}

// at returns the event with version, which must be there.
func (x *stream) at(version uint64) *store.Recorded {
	chunk, index := x.locate(version - 1)
	return &x.chunks[chunk][index]
}

// fill adds the events of b. The caller holds the shard's lock, and assigns the
// positions before it lets it go.
func (x *stream) fill(b *batch) {
	data := b.data
	for i := range b.events {
		r := x.grow()
		r.Event = b.events[i]
		r.Stream, r.Version, r.RecordedAt = x.name, x.version, b.at
		n := len(r.Data)
		r.Data, data = data[:n:n], data[n:]
		complete(&r.Event, b)
	}
}

// grow adds an event, which is to be filled in.
func (x *stream) grow() *store.Recorded {
	if x.version == shortEvents {
		x.join()
	}
	x.version++
	chunk, index := x.locate(x.version - 1)
	if chunk == uint64(len(x.chunks)) {
		size := uint64(chunkSize)
		if x.version <= shortEvents {
			size = chunkSizes()[chunk]
		}
		x.chunks = append(x.chunks, make([]store.Recorded, size))
	}
	return &x.chunks[chunk][index]
}

// join moves the events of the short chunks into a long one. Views, pages and the
// log keep those that they have.
func (x *stream) join() {
	long := make([]store.Recorded, 0, chunkSize)
	for _, short := range x.chunks {
		long = append(long, short...)
	}
	x.chunks = [][]store.Recorded{long[:chunkSize]}
}

// complete fills in what e leaves to the store, and copies its headers.
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

// lend returns the page from version from on, at most up to the end of its
// chunk, without a copy.
func (x *stream) lend(from, limit uint64) store.Page {
	if from > x.version {
		return x.forward(nil, from)
	}
	chunk, index := x.locate(from - 1)
	events := x.chunks[chunk]
	end := min(index+min(limit, x.version-from+1), uint64(len(events)))
	return x.forward(events[index:end:end], from+end-index)
}

// read returns a copy of the page from version from on.
func (x *stream) read(from, limit uint64) store.Page {
	if from > x.version {
		return x.forward(nil, from)
	}
	events := make([]*store.Recorded, min(limit, x.version-from+1))
	for i := range events {
		events[i] = x.at(from + uint64(i))
	}
	return x.forward(copies(events), from+uint64(len(events)))
}

// forward returns the page of events, which are those before next.
func (x *stream) forward(events []store.Recorded, next uint64) store.Page {
	return store.Page{Events: events, Head: x.version, Next: next, End: next > x.version}
}

// readBackward returns a copy of the page from version from down; 0 is the last.
func (x *stream) readBackward(from, limit uint64) store.Page {
	if from == 0 || from > x.version {
		from = x.version
	}
	events := make([]*store.Recorded, min(limit, from))
	for i := range events {
		events[i] = x.at(from - uint64(i))
	}
	next := from - uint64(len(events))
	return store.Page{Events: copies(events), Head: x.version, Next: next, End: next == 0}
}
