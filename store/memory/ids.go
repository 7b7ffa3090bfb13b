package memory

import "github.com/evolvego/evolve/store"

// ids finds the events of a tenant by their ids. It is a hash table of plain numbers that
// the garbage collector need not look at: a map of strings to events would take three times
// the memory. Many small tables grow one at a time, so no append waits long for that.
type ids struct {
	few  idTable // until there are too many for one table
	many []idTable
}

type idTable struct {
	slots []uint64 // 0, or the top bits of a hash and a position
	used  int      // how many are not 0, at most 3/4
}

// fewIDs is the number of IDs that a tenant keeps in one table. To make that table twice as
// large takes a few microseconds.
const fewIDs = 1024

// idTables is how many tables there are for more. Which one is said by the lowest bits of a
// hash.
const idTables = 64

// positionBits is how much of a slot is the position: enough for more events
// than fit any memory. The rest is of the hash, and says where to look.
const positionBits = 40

// hashes appends the hash of the id of each event to buf.
func (m *Store) hashes(buf []uint64, events []store.Event) []uint64 {
	for i := range events {
		buf = append(buf, m.streams.hashID(events[i].ID))
	}
	return buf
}

func (x *ids) table(hash uint64) *idTable {
	if x.many == nil {
		return &x.few
	}
	return &x.many[hash%idTables]
}

// find returns the event of v that has id, false if none has.
func (x *ids) find(hash uint64, id string, v view) (ref, bool) {
	t := x.table(hash)
	if t.used == 0 {
		return ref{}, false
	}
	mask := len(t.slots) - 1 // a power of two, less one
	for i := int(hash>>positionBits) & mask; ; i = (i + 1) & mask {
		slot := t.slots[i]
		if slot == 0 {
			return ref{}, false
		}
		if (slot^hash)>>positionBits == 0 {
			if e := v.at(slot & (1<<positionBits - 1)); e.row().id == id {
				return e, true
			}
		}
	}
}

// taken returns the event of v that has the first id of events that is taken, false if none
// is.
func (x *ids) taken(hashes []uint64, events []store.Event, v view) (ref, bool) {
	for i, hash := range hashes {
		if e, ok := x.find(hash, events[i].ID, v); ok {
			return e, true
		}
	}
	return ref{}, false
}

// add takes the id with hash for the event at position. The hashes of the others are made
// again from v if they are spread over many tables.
func (x *ids) add(hash, position uint64, v view, m *Store) {
	if x.many == nil && x.few.used == fewIDs {
		x.many = make([]idTable, idTables)
		for i := range x.many {
			x.many[i].slots = make([]uint64, 2*fewIDs/idTables)
		}
		for _, slot := range x.few.slots {
			if at := slot & (1<<positionBits - 1); at > 0 {
				other := m.streams.hashID(v.at(at).row().id)
				x.many[other%idTables].add(other, at)
			}
		}
		x.few = idTable{}
	}
	x.table(hash).add(hash, position)
}

func (t *idTable) add(hash, position uint64) {
	if 4*(t.used+1) > 3*len(t.slots) {
		old := t.slots
		t.slots = make([]uint64, max(8, 2*len(old)))
		for _, slot := range old {
			if slot != 0 {
				t.put(slot)
			}
		}
	}
	t.used++
	t.put(hash>>positionBits<<positionBits | position)
}

// put puts slot where it is looked for; there is room.
func (t *idTable) put(slot uint64) {
	mask := len(t.slots) - 1
	i := int(slot>>positionBits) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot
}
