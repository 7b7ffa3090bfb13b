package processtest_test

import (
	"testing"

	"github.com/evolvego/evolve/decider/process/processtest"
	"github.com/evolvego/evolve/store/memory"
)

func open(*testing.T) processtest.Setup[*memory.Tx] {
	st := memory.New()
	return processtest.Setup[*memory.Tx]{Log: st, Target: st}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	processtest.Run(t, open)
}
