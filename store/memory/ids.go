package memory

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"github.com/evolvego/evolve/store"
)

// ids finds the events of a tenant by their ids. It is a hash table over many
// locks, of plain numbers that the garbage collector need not look at: a map of
// strings to events would take three times the memory.
type ids struct {
	seed   maphash.Seed
	shards [shards]idShard
}

type idShard struct {
	mu    sync.Mutex
	slots []uint64 // guarded by mu; 0, or the top bits of a hash and a position
	used  int      // guarded by mu; how many are not 0, at most 3/4
	_     [24]byte // a cache line for each shard
}

// positionBits is how much of a slot is the position: enough for more events
// than fit any memory. The rest is of the hash, and says where to look.
const positionBits = 40

func newIDs() *ids {
	return &ids{seed: maphash.MakeSeed()}
}

// hashes appends the hash of the id of each event to buf.
func (x *ids) hashes(buf []uint64, events []store.Event) []uint64 {
	for i := range events {
		buf = append(buf, maphash.String(x.seed, events[i].ID))
	}
	return buf
}

func (x *ids) of(hash uint64) *idShard { return &x.shards[hash%shards] }

// lock locks the shards of hashes, upwards so that no two callers wait for each
// other, and returns which.
func (x *ids) lock(hashes []uint64) (locked uint64) {
	for _, hash := range hashes {
		locked |= 1 << (hash % shards)
	}
	x.lockSet(locked)
	return locked
}

// lockAll locks all shards.
func (x *ids) lockAll() (locked uint64) {
	locked = 1<<shards - 1
	x.lockSet(locked)
	return locked
}

func (x *ids) lockSet(set uint64) {
	for ; set != 0; set &= set - 1 {
		x.shards[bits.TrailingZeros64(set)].mu.Lock()
	}
}

func (x *ids) unlock(locked uint64) {
	for ; locked != 0; locked &= locked - 1 {
		x.shards[bits.TrailingZeros64(locked)].mu.Unlock()
	}
}

// taken returns the event that has the first id of events that is taken, nil if
// none is. The caller holds the locks of their hashes.
func (x *ids) taken(hashes []uint64, events []store.Event, l *log) *store.Recorded {
	for i, hash := range hashes {
		if r := x.of(hash).find(hash, events[i].ID, l); r != nil {
			return r
		}
	}
	return nil
}

// add takes the ids with hashes, of the events up to position. The caller holds
// their locks.
func (x *ids) add(hashes []uint64, position uint64) {
	position -= uint64(len(hashes))
	for _, hash := range hashes {
		position++
		x.of(hash).add(hash, position)
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
