package storetest_test

import (
	"flag"
	"os"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // most failures here are intended
		panic(err)
	}
	os.Exit(m.Run())
}

func TestPlain(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return newPlain("") })
}

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
}
