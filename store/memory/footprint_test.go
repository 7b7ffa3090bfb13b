package memory_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// perItem returns the bytes of memory that each of n items takes. keep makes item i and
// keeps it reachable.
func perItem(n int, keep func(i int)) int64 {
	size := func() int64 {
		var stats runtime.MemStats
		runtime.GC()
		runtime.GC() // frees what the first collection only marked
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := size()
	for i := range n {
		keep(i)
	}
	return (size() - before) / int64(n)
}

// TestFootprint limits the memory of a stream with one event, and of a tenant that is
// idle.
func TestFootprint(t *testing.T) { //nolint:paralleltest // it counts all of the process
	const n = 20_000
	m := memory.New()
	ids, names := store.NewIDs(n), make([]string, n)
	for i := range names {
		names[i] = "name " + strconv.Itoa(i)
	}
	data := []byte(`{"cents":500}`)
	if size := perItem(n, func(i int) {
		mustAppend(t, m, account(names[i]), store.Event{ID: ids[i], Type: "Opened", Data: data})
	}); size > 400 {
		t.Errorf("a stream of one event takes %d bytes, want 400 at most", size)
	}
	tenants := make([]store.Store, n)
	if size := perItem(n, func(i int) { tenants[i] = mustTenant(t, m, names[i]) }); size > 1000 {
		t.Errorf("an idle tenant takes %d bytes, want 1000 at most", size)
	}
	runtime.KeepAlive(m)
	runtime.KeepAlive(tenants)
}
