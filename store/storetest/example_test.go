package storetest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
	"github.com/evolvego/evolve/store/storetest"
)

// A store passes the suite in one line.
func ExampleRun() {
	test := func(t *testing.T) {
		t.Helper()
		storetest.Run(t, func(*testing.T) store.Store { return memory.New() })
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

// stale is a store whose reads find nothing.
type stale struct{ *memory.Store }

func (stale) Read(context.Context, store.Stream, store.ReadOptions) (store.Page, error) {
	return store.Page{Next: 1, End: true}, nil
}

// What clients were told is recorded, and held against what is in the stream.
func ExampleCheckStream() {
	st := memory.New()
	record := storetest.Record(stale{st})
	stream := store.Stream{Type: "Account", ID: "acc-1"}

	ann, ben := storetest.WithClient(context.Background(), 0), storetest.WithClient(context.Background(), 1)
	if _, err := record.Append(ann, stream, store.NoStream, []store.Event{{ID: "1", Type: "Opened"}}); err != nil {
		fmt.Println(err)
	}
	if _, err := record.Read(ben, stream, store.ReadOptions{}); err != nil {
		fmt.Println(err)
	}
	history, err := record.History(context.Background(), st, stream)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(storetest.CheckStream(history))
	// Output:
	// storetest: stream Account/acc-1 is not linearizable: the first call was over before the second began, which took effect before it
	//      1-2    A appends 1 at no stream: version 1
	//      3-4    B reads from 0: head 0
}

// Two clients look whether there is an account before they open it. That is not enough, and
// the test says why:
//
//	storetest: schedule 2: opened 2 times, <nil>
//	   1  A reads from 0: head 0
//	   2  B reads from 0: head 0
//	   3  A appends 1 at any version: version 1
//	   4  B appends 1 at any version: version 2
func ExampleExplore() {
	stream := store.Stream{Type: "Account", ID: "acc-1"}
	test := func(t *testing.T) {
		t.Helper()
		_, err := storetest.Explore(t, storetest.Limits{}, func(s *storetest.Sim) {
			inner := memory.New()
			st := s.Store(inner)
			s.Alike(2, func(ctx context.Context) {
				page, err := st.Read(ctx, stream, store.ReadOptions{})
				if err == nil && page.Head == 0 {
					_, err = st.Append(ctx, stream, store.Any, []store.Event{{ID: store.NewID(), Type: "Opened"}})
				}
				if err != nil {
					s.Errorf("open: %v", err)
				}
			})
			s.Then(func() {
				if page, err := inner.Read(context.Background(), stream, store.ReadOptions{}); page.Head != 1 || err != nil {
					s.Errorf("opened %d times, %v", page.Head, err)
				}
			})
		})
		if err != nil {
			t.Error(err)
		}
	}
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

// The answer of a request that was dealt with is lost on the way.
func ExampleWire() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the server has", r.URL.Path)
	}))
	defer server.Close()
	wire, err := storetest.NewWire(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer wire.Close()
	wire.CutAnswers()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", wire.Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /deposit HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(conn)
	fmt.Printf("the client has %q\n", answer)
	// Output:
	// the server has /deposit
	// the client has ""
}
