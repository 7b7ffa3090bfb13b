package runnerhttp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/evolvego/evolve/decider/runner/runnerhttp"
)

// A header that is not understood is named, and answered with 400.
func ExampleHeaderError() {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/accounts/acc-1", http.NoBody)
	r.Header.Set("At-Least", "soon")
	_, err := runnerhttp.AtLeast(r)
	header, _ := errors.AsType[*runnerhttp.HeaderError](err)
	fmt.Println(errors.Is(err, runnerhttp.ErrHeader), header.Header, runnerhttp.WriteProblem(httptest.NewRecorder(), r, err))
	// Output: true At-Least 400
}

// A body that is too large is answered with 413.
func ExampleBodyError() {
	err := &runnerhttp.BodyError{Err: &http.MaxBytesError{Limit: 1 << 16}}
	fmt.Println(err.HTTPStatus())
	// Output: 413
}
