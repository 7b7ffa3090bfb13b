package storetest_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/storetest"
)

var errLost = errors.New("the connection is lost")

// loses counts the calls of stores, of which one fails. It is shared by all stores of a
// clause.
type loses struct {
	mu    sync.Mutex
	calls int // guarded by mu
	at    int // the call that fails, from 1; 0: none
}

// next returns the error of the next call.
func (l *loses) next() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls++; l.calls == l.at {
		return errLost
	}
	return nil
}

// losing returns the result of a clause on plain stores of which one call fails, and the
// number of calls.
func losing(clause string, at int) (*recorder, int) {
	l := &loses{at: at}
	open := opens(clause, "")
	r := record(clause, func() store.Store {
		st := open()
		p, _ := st.(*plain)
		p.loses = l
		return st
	}, time.Minute)
	l.mu.Lock()
	defer l.mu.Unlock()
	return r, l.calls
}

// TestEveryErrorIsTold checks that a clause fails if one of its first 40 calls fails, and
// names the error, whichever call it is. Where a context ends during an append or an Update,
// these may fail with any error, so that clause is left out.
func TestEveryErrorIsTold(t *testing.T) {
	t.Parallel()
	for _, clause := range storetest.Clauses() {
		if strings.Contains(clause, "whose context ends at any moment") || strings.Contains(clause, "a context that ends during it") {
			continue
		}
		t.Run(clause, func(t *testing.T) {
			t.Parallel()
			_, calls := losing(clause, 0)
			for at := 1; at <= min(calls, 40); at += 1 + at/4 {
				if r, made := losing(clause, at); made >= at && (!r.Failed() || !strings.Contains(r.said(), errLost.Error())) {
					t.Errorf("call %d of %d fails, and the clause says %q", at, calls, fmt.Sprintf("%.300s", r.said()))
				}
			}
		})
	}
}
