package projectiontest_test

import (
	"testing"

	"github.com/evolvego/evolve/decider/projection/projectiontest"
	"github.com/evolvego/evolve/store/memory"
)

func open(t *testing.T) projectiontest.World[*memory.Tx] {
	t.Helper()
	st := memory.New()
	other, err := st.Tenant("other")
	if err != nil {
		t.Fatal(err)
	}
	neighbor, ok := other.(*memory.Store)
	if !ok {
		t.Fatalf("the tenant's store is a %T", other)
	}
	return projectiontest.World[*memory.Tx]{
		Store: st, Target: st, Virtual: true,
		Neighbor: &projectiontest.World[*memory.Tx]{Store: neighbor, Target: neighbor, Virtual: true},
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	projectiontest.Run(t, open)
}

func TestMemoryInline(t *testing.T) {
	t.Parallel()
	projectiontest.RunInline(t, open)
}
