package runnerhttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/evolvego/evolve/decider"
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/runner"
	"github.com/evolvego/evolve/decider/runner/runnerhttp"
	"github.com/evolvego/evolve/store/memory"
)

type (
	add   int // the command
	added int // the event
)

var errNegative = errors.New("counter: below zero")

func newCounters() *runner.Runner[add, int, added] {
	counter := decider.New(
		func(c add, n int) ([]added, error) {
			if n+int(c) < 0 {
				return nil, errNegative
			}
			return []added{added(c)}, nil
		},
		func(n int, e added) int { return n + int(e) })
	return runner.New("Counter", counter, memory.New(), codec.JSON(map[string]added{"Added": 0}))
}

// A handler of an ordinary mux runs a command.
func Example() {
	counters := newCounters()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /counters/{id}/down", func(w http.ResponseWriter, r *http.Request) {
		opts, err := runnerhttp.Options(r)
		if err != nil {
			runnerhttp.WriteProblem(w, r, err)
			return
		}
		out, err := counters.Handle(r.Context(), r.PathValue("id"), add(-1), opts...)
		if err != nil {
			runnerhttp.WriteProblem(w, r, err)
			return
		}
		runnerhttp.SetETag(w.Header(), out.Version)
		fmt.Fprintf(w, "now %d", out.State)
	})

	server := httptest.NewServer(mux)
	defer server.Close()
	res, err := http.Post(server.URL+"/counters/c-1/down", "", http.NoBody) //nolint:noctx // an example is short
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	fmt.Println(res.Status, res.Header.Get("Content-Type"))
	fmt.Println(string(body))
	// Output:
	// 422 Unprocessable Entity application/problem+json
	// {"title":"Unprocessable Entity","status":422,"detail":"counter: below zero"}
}
