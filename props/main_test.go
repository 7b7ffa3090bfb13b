package props_test

import (
	"flag"
	"os"
	"testing"
)

// broken is set in the environment of processes that fail on purpose.
const broken = "EVOLVE_PROPS_BROKEN"

// TestMain keeps rapid from leaving files of the failures that are planted here, and
// has a third of the histories where nobody says how many: there are many suites, and
// the planted bugs need less.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(broken) == "" {
		set("rapid.nofailfile", "true")
		if flag.Lookup("rapid.checks").Value.String() == "100" {
			set("rapid.checks", "33")
		}
	}
	m.Run()
}

func set(name, value string) {
	if err := flag.Set(name, value); err != nil {
		panic(err)
	}
}
