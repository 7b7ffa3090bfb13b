package props_test

import (
	"flag"
	"os"
	"testing"

	"github.com/evolvego/evolve/props"
)

// broken is set in the environment of processes that fail on purpose.
const broken = "EVOLVE_PROPS_BROKEN"

// ungettable is a flag whose value cannot be read.
const ungettable = "props.ungettable"

// TestMain keeps rapid from leaving files about planted failures. It also reduces the
// number of histories to a third unless a flag sets it, because there are many suites,
// and the planted bugs need fewer.
func TestMain(m *testing.M) {
	flag.Func(ungettable, "for TestSetting", func(string) error { return nil })
	flag.Parse()
	props.TakeTime()
	if os.Getenv(broken) == "" {
		set("rapid.nofailfile", "true")
		if os.Getenv("RAPID_CHECKS") == "" && !given("rapid.checks") {
			set("rapid.checks", "33")
		}
	}
	m.Run()
}

// given reports whether the flag is on the command line.
func given(name string) (found bool) {
	flag.Visit(func(f *flag.Flag) { found = found || f.Name == name })
	return found
}

func set(name, value string) {
	if err := flag.Set(name, value); err != nil {
		panic(err)
	}
}
