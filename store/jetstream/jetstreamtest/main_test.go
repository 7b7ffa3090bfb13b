package jetstreamtest_test

import (
	"flag"
	"os"
	"testing"
)

// longEnv makes the tests run as long as they need: everything that a store must do, on
// one server and on three, and many failures of servers. Without it they do less of
// each.
const longEnv = "EVOLVE_FAILOVERS"

func TestMain(m *testing.M) {
	if settings := os.Getenv(childEnv); settings != "" {
		serveChild(settings)
	}
	flag.Parse()
	if os.Getenv(longEnv) == "" {
		_ = flag.Set("test.short", "true")
	}
	os.Exit(m.Run())
}
