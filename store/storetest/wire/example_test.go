package wire_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/evolvego/evolve/store/storetest/wire"
)

// The server handles a request, and the answer is lost on the way.
func ExampleWire() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the server has", r.URL.Path)
	}))
	defer server.Close()
	line, err := wire.New(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer line.Close()
	line.CutAnswers()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", line.Addr())
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
