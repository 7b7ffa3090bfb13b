package helper

import (
	"os"
	"sync"
	"time"
)

func Now() time.Time { return inner() } // want Now:"calls inner, which calls time.Now"

func inner() time.Time { return time.Now() }

func Double(n int) int { return 2 * n }

var reader = os.Stdin

func ID() []byte { // want ID:"uses reader, which uses os.Stdin"
	id := make([]byte, 16)
	reader.Read(id)
	return id
}

var (
	mu    sync.Mutex
	cache = map[string]int{}
)

func Cached(key string) int { // want Cached:"reads the package variable mu, which changes"
	mu.Lock()
	defer mu.Unlock()
	return cache[key]
}

type Clock struct{}

func (*Clock) Time() int64 { return time.Now().Unix() } // want Time:"calls time.Now"
