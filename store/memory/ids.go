package memory

import "github.com/evolvego/evolve/store"

// ids finds the events of a tenant by their ids. It is a hash table of plain numbers,
// which the garbage collector does not scan. A map from strings to events would take
// three times the memory. The ids are spread over many small tables, which grow one at
// a time, so that no append has to wait long.
type ids struct {
	few  idTable // used until there are too many ids for one table
	many []idTable
}

type idTable struct {
	slots []uint64 // 0, or the top bits of a hash and a position
	used  int      // number of slots in use, at most 3/4 of all
}

// fewIDs is the number of ids that a tenant keeps in one table. Growing that table takes a
// few microseconds.
const fewIDs = 1024

// idTables is the number of tables for more ids. The lowest bits of the hash select
// one.
const idTables = 64

// positionBits is the number of bits of a slot that hold the position: enough for more
// events than fit into any memory. The other bits hold the top bits of the hash.
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

// find returns the event of v with this id, and false if there is none.
func (x *ids) find(hash uint64, id string, v view) (ref, bool) {
	t := x.table(hash)
	if t.used == 0 {
		return ref{}, false
	}
	mask := len(t.slots) - 1 // the table's size is a power of two
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

// taken returns the event of v that has the first already recorded id of events, and
// false if there is none.
func (x *ids) taken(hashes []uint64, events []store.Event, v view) (ref, bool) {
	for i, hash := range hashes {
		if e, ok := x.find(hash, events[i].ID, v); ok {
			return e, true
		}
	}
	return ref{}, false
}

// add adds the id with hash for the event at position. If it moves the ids to many
// tables, it computes the hashes of the others again, from v.
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
		t.slots = make([]uint64, t.longer())
		for _, slot := range old {
			if slot != 0 {
				t.put(slot)
			}
		}
	}
	t.used++
	t.put(hash>>positionBits<<positionBits | position)
}

// longer returns the number of slots that t grows to. A small table grows to four times
// its size, because then its ids move a third as often, and the room is small.
func (t *idTable) longer() int {
	n := len(t.slots)
	if n < 2*fewIDs {
		return max(8, 4*n)
	}
	return 2 * n
}

// put stores slot where a lookup finds it. There must be a free slot.
func (t *idTable) put(slot uint64) {
	mask := len(t.slots) - 1
	i := int(slot>>positionBits) & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	t.slots[i] = slot
}
