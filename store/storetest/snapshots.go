package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/evolvego/evolve/store"
)

func hasSnapshots(st store.Store) bool {
	_, ok := st.(store.Snapshots)
	return ok
}

func snapshotClauses() []clause {
	return []clause{
		{"a missing snapshot is not found", snapshotMissing},
		{"a load returns the saved bytes", snapshotFidelity},
		{"the newest snapshot wins", snapshotNewest},
		{"streams and schemas are kept apart, byte for byte", snapshotKeys},
		{"snapshots are never in the streams", snapshotsAreBeside},
		{"invalid arguments are refused", snapshotRefuses},
		{"the caller can change saved and loaded data", snapshotAliases},
		{"the newest of several concurrent saves wins", snapshotContention},
		{"nothing is saved with an ended context", snapshotEnded},
	}
}

func snapshotCall(snap store.Snapshot) string {
	return fmt.Sprintf("SaveSnapshot(%+q, %+q, version %d, %d bytes)", snap.Stream, snap.Schema, snap.Version, len(snap.Data))
}

func (t *check) snapshots() store.Snapshots { return as[store.Snapshots](t, t.store) }

func (t *check) saveSnapshot(st store.Snapshots, snap store.Snapshot) {
	t.Helper()
	if err := st.SaveSnapshot(t.ctx, snap); err != nil {
		t.Fatalf("%s failed: %v", snapshotCall(snap), err)
	}
}

// wantSnapshot fails unless the snapshot of s in schema is want. A nil want means no
// snapshot.
func (t *check) wantSnapshot(st store.Snapshots, s store.Stream, schema string, want *store.Snapshot) {
	t.Helper()
	got, ok, err := st.LoadSnapshot(t.ctx, s, schema)
	call, exists := fmt.Sprintf("LoadSnapshot(%+q, %+q)", s, schema), want != nil
	switch {
	case err != nil || ok != exists:
		t.Fatalf("%s = version %d, %t, %s; want %t", call, got.Version, ok, answer(err), exists)
	case ok && (got.Stream != want.Stream || got.Schema != want.Schema || got.Version != want.Version):
		t.Fatalf("%s = %+q, %+q, version %d; want %+q, %+q, version %d",
			call, got.Stream, got.Schema, got.Version, want.Stream, want.Schema, want.Version)
	case ok && !bytes.Equal(got.Data, want.Data):
		t.Fatalf("%s: Data is %s, want %s", call, excerpt(got.Data), excerpt(want.Data))
	}
}

func snapshotMissing(t *check) {
	st := t.snapshots()
	t.wantSnapshot(st, newStream("missing"), "v1", nil)
	s, _ := t.filled(t.store, "without a snapshot", 2)
	t.wantSnapshot(st, s, "v1", nil)
}

func snapshotFidelity(t *check) {
	st := t.snapshots()
	for _, data := range [][]byte{nil, {}, {0}, []byte("\x00\xff\xed\xa0\x80"), []byte("{}"), bytes.Repeat([]byte{1, 2, 0, 255}, 1<<18)} {
		for _, version := range []uint64{1, 1 << 32, store.MaxVersion} {
			snap := store.Snapshot{Stream: newStream("fidelity"), Schema: "v1", Version: version, Data: data}
			t.saveSnapshot(st, snap)
			t.wantSnapshot(st, snap.Stream, snap.Schema, &snap)
		}
	}
}

func snapshotNewest(t *check) {
	st := t.snapshots()
	s := newStream("newest")
	var newest store.Snapshot
	for i, version := range []uint64{5, 4, 1, 5, 6, 100, 99, 20, 101} {
		snap := store.Snapshot{Stream: s, Schema: "v1", Version: version, Data: fmt.Append(nil, i)}
		t.saveSnapshot(st, snap)
		if version >= newest.Version {
			newest = snap
		}
		t.wantSnapshot(st, s, "v1", &newest)
	}
}

func snapshotKeys(t *check) {
	st := t.snapshots()
	tag := newTag()
	var all []store.Snapshot
	for _, name := range fresh(tag) {
		for _, key := range []store.Snapshot{
			{Stream: store.Stream{Type: name, ID: tag}, Schema: "v"},
			{Stream: store.Stream{Type: "a", ID: name}, Schema: "v"},
			{Stream: store.Stream{Type: "a", ID: tag}, Schema: name},
		} {
			key.Version, key.Data = uint64(len(all)+1), fmt.Append(nil, len(all))
			t.saveSnapshot(st, key)
			all = append(all, key)
		}
	}
	for i := range all {
		t.wantSnapshot(st, all[i].Stream, all[i].Schema, &all[i])
	}
}

func snapshotsAreBeside(t *check) {
	st := t.snapshots()
	missing := newStream("beside")
	s, events := t.filled(t.store, "beside", 2)
	for _, stream := range []store.Stream{missing, s} {
		t.saveSnapshot(st, store.Snapshot{Stream: stream, Schema: "v1", Version: 2, Data: []byte("state")})
	}
	t.wantNoStream(t.store, missing, "a snapshot")
	t.wantStream(t.store, s, events)
	more := newEvents(1)
	t.append(t.store, s, store.Exactly(2), more...)
	t.wantStream(t.store, s, append(events, more...))
}

func snapshotRefuses(t *check) {
	st := t.snapshots()
	valid := store.Snapshot{Stream: newStream("invalid"), Schema: "v1", Version: 1}
	bad := []store.Snapshot{{Stream: valid.Stream, Schema: "v1", Version: 0}}
	for _, n := range badNames() {
		typ, id, schema := valid, valid, valid
		typ.Stream.Type, id.Stream.ID, schema.Schema = n.text, n.text, n.text
		bad = append(bad, typ, id, schema)
	}
	for _, snap := range bad {
		t.wantInvalid(snapshotCall(snap), st.SaveSnapshot(t.ctx, snap), "")
		_, ok, err := st.LoadSnapshot(t.ctx, snap.Stream, snap.Schema)
		if err != nil {
			t.wantInvalid(fmt.Sprintf("LoadSnapshot(%+q, %+q)", snap.Stream, snap.Schema), err, "")
		}
		if ok {
			t.Fatalf("%s was refused, but LoadSnapshot finds it", snapshotCall(snap))
		}
	}
}

func snapshotAliases(t *check) {
	st := t.snapshots()
	want := store.Snapshot{Stream: newStream("aliases"), Schema: "v1", Version: 1, Data: []byte("state")}
	saved := want
	saved.Data = bytes.Clone(want.Data)
	t.saveSnapshot(st, saved)
	saved.Data[0] ^= 0xff
	for range 2 {
		t.wantSnapshot(st, want.Stream, want.Schema, &want)
		got, _, err := st.LoadSnapshot(t.ctx, want.Stream, want.Schema)
		if err != nil || len(got.Data) == 0 {
			t.Fatalf("LoadSnapshot(%+q, v1) = %d bytes, %s; want %d", want.Stream, len(got.Data), answer(err), len(want.Data))
		}
		got.Data[0] ^= 0xff
	}
}

func snapshotContention(t *check) {
	const savers, each = 8, 10
	st := t.snapshots()
	for range t.times(10) {
		s := newStream("contention")
		t.together(savers, func(i int) error {
			var last uint64
			for j := range each {
				version := uint64(j*savers + i + 1)
				if i%2 == 1 { // downward
					version = uint64((each-1-j)*savers + i + 1)
				}
				snap := store.Snapshot{Stream: s, Schema: "v1", Version: version, Data: fmt.Append(nil, version)}
				if err := st.SaveSnapshot(t.ctx, snap); err != nil {
					return fmt.Errorf("%s, concurrently with others: %w", snapshotCall(snap), err)
				}
				got, ok, err := st.LoadSnapshot(t.ctx, s, "v1")
				if err != nil || !ok || got.Version < max(version, last) || string(got.Data) != strconv.FormatUint(got.Version, 10) {
					return fmt.Errorf("LoadSnapshot after saving version %d and loading %d = version %d with data %s, %t, %s",
						version, last, got.Version, excerpt(got.Data), ok, answer(err))
				}
				last = got.Version
			}
			return nil
		})
		newest := store.Snapshot{Stream: s, Schema: "v1", Version: savers * each, Data: fmt.Append(nil, savers*each)}
		t.wantSnapshot(st, s, "v1", &newest)
	}
}

func snapshotEnded(t *check) {
	st := t.snapshots()
	s := newStream("ended")
	for cause, ctx := range t.ended() {
		snap := store.Snapshot{Stream: s, Schema: "v1", Version: 1}
		if err := st.SaveSnapshot(ctx, snap); !errors.Is(err, cause) {
			t.Fatalf("%s with an ended context = %s, want %v", snapshotCall(snap), answer(err), cause)
		}
		t.wantSnapshot(st, s, "v1", nil)
		if _, ok, err := st.LoadSnapshot(ctx, s, "v1"); ok || err != nil && !errors.Is(err, cause) {
			t.Fatalf("LoadSnapshot with an ended context = %t, %s; want %v", ok, answer(err), cause)
		}
	}
}
