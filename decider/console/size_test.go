package console_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// TestSizes limits how much a browser has to load.
func TestSizes(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int64{"console.js": 12 << 10, "console.css": 8 << 10} {
		if info, err := os.Stat("assets/" + name); err != nil || info.Size() > most {
			t.Errorf("%s has %d bytes, more than %d, %v", name, info.Size(), most, err)
		}
	}
	st := memory.New()
	for i := range 200 {
		id := fmt.Sprintf("%0*d", store.MaxName-10, i)
		appendTo(t, st, store.Stream{Type: "Account", ID: id}, store.Event{ID: id, Type: strings.Repeat("Long", 20), Data: bytes.Repeat([]byte("data"), 5000)})
	}
	long := make([]Event, 10_000)
	for i := range long {
		long[i] = Deposited{int64(i)}
	}
	long[0] = Opened{"Ann"}
	add(t, st, ann, long...)
	s := open(t, console.Config{Store: st, Types: []console.Type{account()}})
	for _, path := range []string{"", "?from=200", "streams", "streams?type=Account&id=0", "stream?type=Account&id=ann&v=5000", "event?position=7", "try?type=Account&id=ann&v=5000"} {
		got := s.get(path)
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		if _, err := z.Write([]byte(got.body)); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
		if got.code != 200 || packed.Len() > 60<<10 {
			t.Errorf("GET %s: status %d, %d bytes, %d of them packed; want at most 60 KiB", path, got.code, len(got.body), packed.Len())
		}
		t.Logf("GET %s: %d bytes, %d packed", path, len(got.body), packed.Len())
	}
}

func BenchmarkStateAtAnyVersion(b *testing.B) {
	st := memory.New()
	long := make([]Event, 10_000)
	for i := range long {
		long[i] = Deposited{int64(i)}
	}
	long[0] = Opened{"Ann"}
	add(b, st, ann, long...)
	s := open(b, console.Config{Store: st, Types: []console.Type{account()}})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if got := s.get(fmt.Sprintf("stream?type=Account&id=ann&v=%d", 1+(i*7919)%10_000)); got.code != 200 {
			b.Fatal(got.body)
		}
	}
}
