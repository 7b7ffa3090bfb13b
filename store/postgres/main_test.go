package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/evolvego/evolve/store/postgres/postgrestest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childEnv); url != "" {
		appendForever(url)
	}
	flag.Parse()
	_, drop, err := postgrestest.Database(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "EXAMPLES NOT RUN, NO POSTGRESQL:", err)
		_ = flag.Set("test.skip", "^Example")
	} else {
		drop()
	}
	code := m.Run()
	for _, drop := range drops {
		drop()
	}
	os.Exit(code)
}

// drops holds the functions that drop the databases of the examples, which run one by
// one.
var drops []func()

// exampleURL returns the URL of a new database.
func exampleURL() string {
	url, drop, err := postgrestest.Database(context.Background())
	if err != nil {
		panic(err)
	}
	drops = append(drops, drop)
	return url
}
