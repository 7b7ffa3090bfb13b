package props_test

import (
	"flag"
	"os"
	"testing"
)

// broken is set in the environment of processes that fail on purpose.
const broken = "EVOLVE_PROPS_BROKEN"

// TestMain keeps rapid from leaving files of the failures that are planted here.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(broken) == "" {
		if err := flag.Set("rapid.nofailfile", "true"); err != nil {
			panic(err)
		}
	}
	m.Run()
}
