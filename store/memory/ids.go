package memory

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

// ids finds the events of a tenant by their ids. It is a hash table, split over many
// locks. Its slots are plain numbers, which the garbage collector does not scan. A map
// from strings to events would take three times the memory.
type ids struct {
	seed  maphash.Seed
	table atomic.Pointer[idTable] // replaced once, by spread
}

// idTable holds ids behind one lock, or behind many.
type idTable struct {
	shards []idShard // one, or as many as shards
	mask   uint64    // selects the bits of a hash that are the shard's index
}

type idShard struct {
	mu    sync.Mutex
	slots []uint64 // guarded by mu; 0, or the top bits of a hash and a position
	used  int      // guarded by mu; number of slots in use, at most 3/4 of all
	moved bool     // guarded by mu; the ids are in another table now
	_     [16]byte // fills a cache line
}

// fewIDs is the number of ids that a tenant keeps behind one lock. Many tenants never
// have more.
const fewIDs = 64

// positionBits is the number of bits of a slot that hold the position: enough for more
// events than fit into any memory. The other bits hold the top bits of the hash.
const positionBits = 40

func newIDs() *ids {
	x := &ids{seed: maphash.MakeSeed()}
	x.table.Store(&idTable{make([]idShard, 1), 0})
	return x
}

func (x *ids) hash(id string) uint64 { return maphash.String(x.seed, id) }

// hashes appends the hash of the id of each event to buf.
func (x *ids) hashes(buf []uint64, events []store.Event) []uint64 {
	for i := range events {
		buf = append(buf, x.hash(events[i].ID))
	}
	return buf
}

func (t *idTable) shard(hash uint64) uint64 { return hash & t.mask }

// lockedIDs is a set of shards of a table whose locks are held.
type lockedIDs struct {
	table *idTable
	set   uint64
}

// lock locks the shards of hashes, which must not be empty.
func (x *ids) lock(hashes []uint64, l *log) lockedIDs {
	for {
		locked := lockedIDs{table: x.table.Load()}
		for _, hash := range hashes {
			locked.set |= 1 << locked.table.shard(hash)
		}
		locked.lock()
		first := &locked.table.shards[bits.TrailingZeros64(locked.set)]
		if !first.moved && !x.spread(locked.table, first, l) {
			return locked
		}
		locked.unlock()
	}
}

// lockAll locks all shards.
func (x *ids) lockAll() lockedIDs {
	for {
		locked := lockedIDs{table: x.table.Load()}
		locked.set = 1<<len(locked.table.shards) - 1
		locked.lock()
		if !locked.table.shards[0].moved {
			return locked
		}
		locked.unlock()
	}
}

// spread moves the ids of the only shard of t into a table of many shards, if there are
// too many ids for one shard. The caller holds the shard's lock. If spread returns
// true, the caller must lock again.
func (x *ids) spread(t *idTable, shard *idShard, l *log) bool {
	if len(t.shards) > 1 || shard.used < fewIDs {
		return false
	}
	many := &idTable{make([]idShard, shards), shards - 1}
	for _, slot := range shard.slots {
		if position := slot & (1<<positionBits - 1); position > 0 {
			hash := x.hash(l.at(position).ID)
			many.shards[many.shard(hash)].add(hash, position)
		}
	}
	shard.slots, shard.moved = nil, true
	x.table.Store(many)
	return true
}

// lock locks the shards in ascending order, so that callers cannot deadlock.
func (k lockedIDs) lock() {
	for set := k.set; set != 0; set &= set - 1 {
		k.table.shards[bits.TrailingZeros64(set)].mu.Lock()
	}
}

func (k lockedIDs) unlock() {
	for set := k.set; set != 0; set &= set - 1 {
		k.table.shards[bits.TrailingZeros64(set)].mu.Unlock()
	}
}

// taken returns the recorded event that has the first already recorded id of events,
// and nil if there is none.
func (k lockedIDs) taken(hashes []uint64, events []store.Event, l *log) *store.Recorded {
	for i, hash := range hashes {
		if r := k.table.shards[k.table.shard(hash)].find(hash, events[i].ID, l); r != nil {
			return r
		}
	}
	return nil
}

// add records ids by their hashes. position is the position of the last of their
// events.
func (k lockedIDs) add(hashes []uint64, position uint64) {
	position -= uint64(len(hashes))
	for _, hash := range hashes {
		position++
		k.table.shards[k.table.shard(hash)].add(hash, position)
	}
}

func (x *idShard) find(hash uint64, id string, l *log) *store.Recorded {
	if x.used == 0 {
		return nil
	}
	mask := len(x.slots) - 1 // the table's size is a power of two
	for i := int(hash>>positionBits) & mask; ; i = (i + 1) & mask {
		slot := x.slots[i]
		if slot == 0 {
			return nil
		}
		if (slot^hash)>>positionBits == 0 {
			if r := l.at(slot & (1<<positionBits - 1)); r.ID == id {
				return r
			}
		}
	}
}

func (x *idShard) add(hash, position uint64) {
	if 4*(x.used+1) > 3*len(x.slots) {
		old := x.slots
		x.slots = make([]uint64, max(8, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				x.put(slot)
			}
		}
	}
	x.used++
	x.put(hash>>positionBits<<positionBits | position)
}

// put stores slot where a lookup finds it. There must be a free slot.
func (x *idShard) put(slot uint64) {
	mask := len(x.slots) - 1
	i := int(slot>>positionBits) & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = slot
}
