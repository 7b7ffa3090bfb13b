package memory

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/evolvego/evolve/store"
)

// ids finds the events of a tenant by their ids. It is a hash table over many
// locks, of plain numbers that the garbage collector need not look at: a map of
// strings to events would take three times the memory.
type ids struct {
	seed  maphash.Seed
	table atomic.Pointer[idTable] // replaced once, by spread
}

// idTable is the ids over one lock, or over many.
type idTable struct {
	shards []idShard // one, or as many as shards
	mask   uint64    // of the bits of a hash that say which
}

type idShard struct {
	mu    sync.Mutex
	slots []uint64 // guarded by mu; 0, or the top bits of a hash and a position
	used  int      // guarded by mu; how many are not 0, at most 3/4
	moved bool     // guarded by mu; the ids are in another table
	_     [16]byte // a cache line for each shard
}

// fewIDs is how many ids a tenant keeps behind one lock, because many tenants have no
// more.
const fewIDs = 64

// positionBits is how much of a slot is the position: enough for more events
// than fit any memory. The rest is of the hash, and says where to look.
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

// lockedIDs is some shards of a table, whose locks are held.
type lockedIDs struct {
	table *idTable
	set   uint64
}

// lock locks the shards of hashes, of which there must be one.
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

// spread moves the ids of the only shard of t, whose lock the caller holds, into a table
// of many shards, if they are too many for one. If it does, the caller must lock again.
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

// lock locks the shards upwards, so that no two callers wait for each other.
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

// taken returns the event that has the first id of events that is taken, nil if
// none is.
func (k lockedIDs) taken(hashes []uint64, events []store.Event, l *log) *store.Recorded {
	for i, hash := range hashes {
		if r := k.table.shards[k.table.shard(hash)].find(hash, events[i].ID, l); r != nil {
			return r
		}
	}
	return nil
}

// add takes the ids with hashes, of the events up to position.
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
	mask := len(x.slots) - 1 // a power of two, less one
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

// put puts slot where it is looked for; there is room.
func (x *idShard) put(slot uint64) {
	mask := len(x.slots) - 1
	i := int(slot>>positionBits) & mask
	for x.slots[i] != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = slot
}
