package sqlite_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/sqlite"
)

// updateForever is the child that makes updates: it prints the number of updates after
// each, until it is killed.
func updateForever(path string) {
	st, err := sqlite.Open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	ctx, s := context.Background(), store.Stream{Type: "A", ID: "1"}
	for {
		n := 0
		err := st.Update(ctx, func(tx *sqlite.Tx) (err error) {
			if n, err = number(tx, "SELECT count(*) FROM bank_number WHERE stream = ?", s.ID); err != nil {
				return err
			}
			return whole(tx, s, n)
		})
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("ok", n+1)
	}
}

// TestUpdateCrash kills processes at any moment. Each update must be there completely
// or not at all, and every acknowledged one must be there.
func TestUpdateCrash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.db")
	if err := countingAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	made := 0
	for range crashes() {
		cmd, lines := child(t, path, updatesEnv+"=1")
		acked := made
		first := true
		for line := range lines {
			n, ok := strings.CutPrefix(line, "ok ")
			var err error
			if acked, err = strconv.Atoi(n); !ok || err != nil {
				t.Fatalf("the child prints %q", line)
			}
			if first {
				first = false
				time.AfterFunc(rand.N(200*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait() // the child was killed
		st := open(t, path)
		err := st.Update(context.Background(), func(tx *sqlite.Tx) (err error) {
			made, err = number(tx, "SELECT count(*) FROM bank_number")
			return err
		})
		if err != nil || made < acked || made > acked+1 {
			t.Fatalf("%d updates were acknowledged, but there are %d, %v", acked, made, err)
		}
		wantWhole(t, st, store.Stream{Type: "A", ID: "1"}, made)
		integrity(t, path)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d updates", made)
}
