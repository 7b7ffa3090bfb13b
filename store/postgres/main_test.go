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
	if _, _, err := postgrestest.Database(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "EXAMPLES NOT RUN, NO POSTGRESQL:", err)
		_ = flag.Set("test.skip", "^Example")
	}
	os.Exit(m.Run())
}

// exampleURL returns the URL of a new database.
func exampleURL() string {
	url, _, err := postgrestest.Database(context.Background())
	if err != nil {
		panic(err)
	}
	return url
}
