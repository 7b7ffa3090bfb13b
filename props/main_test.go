package props_test

import (
	"flag"
	"testing"
)

// TestMain keeps rapid from leaving files of the failures that are planted here.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		panic(err)
	}
	m.Run()
}
