package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// start builds and starts the service, and returns its URL. The service is stopped, and
// must exit cleanly, when the test ends.
func start(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "http")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "-listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended with %v\n%s", err, rest)
		}
	})
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	if url == "" {
		t.Fatalf("the service says %q (%v)", line, err)
	}
	return url
}

// answer is a response of the service.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends a request, whose headers are the given pairs, and returns the response.
func call(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, strings.TrimSpace(string(text))}
}

// TestService follows one account through the service, request by request.
func TestService(t *testing.T) {
	t.Parallel()
	account := start(t) + "/accounts/acc-1"
	for _, step := range []struct {
		what    string
		method  string
		path    string
		body    string
		headers []string
		status  int
		etag    string
		want    string // in the body
	}{
		{"nothing there", "GET", "", "", nil, 404, "", "not found"},
		{"a deposit too early", "POST", "/deposits", `{"cents":5}`, nil, 422, "", `"detail":"account: not open"`},
		{"create", "PUT", "", `{"owner":"Ann"}`, []string{"If-None-Match", "*"}, 200, `"1"`, `"owner":"Ann"`},
		{"create again", "PUT", "", `{"owner":"Bob"}`, []string{"If-None-Match", "*"}, 412, "", `"detail":"it is at version 1"`},
		{"open what is open", "PUT", "", `{"owner":"Bob"}`, nil, 422, "", "already open"},
		{"a deposit", "POST", "/deposits", `{"cents":500}`, []string{"Idempotency-Key", "k-1"}, 200, `"2"`, `"cents":500`},
		{"the same, sent again", "POST", "/deposits", `{"cents":500}`, []string{"Idempotency-Key", "k-1"}, 200, `"2"`, `"cents":500`},
		{"another, with its key", "POST", "/deposits", `{"cents":700}`, []string{"Idempotency-Key", "k-1"}, 422, "", "another request used this Idempotency-Key"},
		{"on what was seen", "POST", "/withdrawals", `{"cents":100}`, []string{"If-Match", `"2"`}, 200, `"3"`, `"cents":400`},
		{"on what is gone", "POST", "/withdrawals", `{"cents":100}`, []string{"If-Match", `"2"`}, 412, "", `"detail":"it is at version 3"`},
		{"too much", "POST", "/withdrawals", `{"cents":700}`, nil, 422, "", `insufficient funds: 4.00 available, 7.00 wanted`},
		{"a bad header", "POST", "/deposits", `{"cents":5}`, []string{"If-Match", "three"}, 400, "", "bad header If-Match"},
		{"a bad body", "POST", "/deposits", `five`, nil, 400, "", "bad body"},
		{"a large body", "POST", "/deposits", strings.Repeat(" ", 2000), nil, 400, "", "request body too large"},
		{"an impossible id", "POST", "%00/deposits", `{"cents":5}`, nil, 400, "", "stream.id has a NUL byte"},
		{"what there is", "GET", "", "", nil, 200, `"3"`, `{"cents":400,"closed":false,"owner":"Ann"}`},
		{"close", "DELETE", "", "", nil, 422, "", "not empty"},
		{"take all", "POST", "/withdrawals", `{"cents":400}`, nil, 200, `"4"`, `"cents":0`},
		{"close at last", "DELETE", "", "", nil, 200, `"5"`, `"closed":true`},
	} {
		got := call(t, step.method, account+step.path, step.body, step.headers...)
		if got.status != step.status || got.header.Get("ETag") != step.etag || !strings.Contains(got.body, step.want) {
			t.Errorf("%s: %s %s %s gave %d, ETag %s, %s; want %d, ETag %s, %q",
				step.what, step.method, step.path, step.body, got.status, got.header.Get("ETag"), got.body, step.status, step.etag, step.want)
		}
		problem := step.status >= 400 && step.status != 404
		if media := got.header.Get("Content-Type"); problem != (media == "application/problem+json") {
			t.Errorf("%s: content type %s", step.what, media)
		}
	}
}

// TestServiceCrowd checks that no deposit of many at once is lost, and that a key sent
// by several counts once.
func TestServiceCrowd(t *testing.T) {
	t.Parallel()
	account := start(t) + "/accounts/acc-1"
	call(t, "PUT", account, `{"owner":"Ann"}`)
	const clients, each = 8, 20
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for i := range each {
				key := fmt.Sprint("shared-", i)
				if i%2 == 0 {
					key = fmt.Sprint(client, "-", i)
				}
				for {
					got := call(t, "POST", account+"/deposits", `{"cents":1}`, "Idempotency-Key", key)
					if got.status == http.StatusConflict { // too many at once: retry as the response says
						continue
					}
					if got.status != http.StatusOK {
						t.Errorf("%d: %s", got.status, got.body)
					}
					break
				}
			}
		})
	}
	group.Wait()
	end := call(t, "GET", account, "")
	var got struct{ Cents int }
	if err := json.Unmarshal([]byte(end.body), &got); err != nil || got.Cents != clients*each/2+each/2 {
		t.Errorf("the account is %s (%v), want %d cents", end.body, err, clients*each/2+each/2)
	}
}

// TestServiceReadsYourWrites lets many clients deposit and query the total at once: each
// finds its own deposit in it, and those of others that it knows of.
func TestServiceReadsYourWrites(t *testing.T) {
	t.Parallel()
	url := start(t)
	const clients, each = 4, 10
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			account := fmt.Sprint(url, "/accounts/acc-", client)
			call(t, "PUT", account, `{"owner":"Ann"}`)
			for i := range each {
				done := call(t, "POST", account+"/deposits", `{"cents":1}`)
				position := done.header.Get("Position")
				got := call(t, "GET", url+"/total", "", "At-Least", position)
				var total struct{ Accounts, Cents int }
				if err := json.Unmarshal([]byte(got.body), &total); err != nil || got.status != http.StatusOK || total.Accounts < 1 || total.Cents < i+1 {
					t.Errorf("after deposit %d, at position %s, the total is %d %s", i+1, position, got.status, got.body)
				}
			}
		})
	}
	group.Wait()
	last := call(t, "PUT", url+"/accounts/last", `{"owner":"Bob"}`).header.Get("Position")
	want := fmt.Sprintf(`{"accounts":%d,"cents":%d}`, clients+1, clients*each)
	if got := call(t, "GET", url+"/total", "", "At-Least", last); got.body != want {
		t.Errorf("in the end the total is %d %s, want %s", got.status, got.body, want)
	}
	if got := call(t, "GET", url+"/total", "", "At-Least", "soon"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "bad header At-Least") {
		t.Errorf("with a bad header: %d %s", got.status, got.body)
	}
}
