package console_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/decider/process"
	"github.com/evolvego/evolve/decider/projection"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// pages returns all pages that show something of ann's account or the note.
func pages() []string {
	return []string{
		"", "?q=e", "streams", "stream?type=Account&id=ann", "stream?type=Account&id=ann&v=1", "stream?type=Note&id=n/1", "event?id=note-1", "data?id=note-1",
		"flow?id=note-1", "try?type=Account&id=ann", "replay?type=Account", "recent", "projections", "processes", "parked?name=p@1", "waiting?name=w@1",
		"export?format=jsonl", "export?format=csv", "export?of=stream&type=Account&id=ann&format=jsonl",
	}
}

func TestNobodyByDefault(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"loopback":               {func(*http.Request) {}, 200},
		"loopback by number":     {func(r *http.Request) { r.Host = "127.0.0.1:1" }, 200},
		"loopback of version 6":  {func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:1", "[::1]:2" }, 200},
		"another machine":        {func(r *http.Request) { r.RemoteAddr = "192.0.2.1:1" }, 403},
		"another host name":      {func(r *http.Request) { r.Host = "evil.example" }, 403},
		"a name like localhost":  {func(r *http.Request) { r.Host = "localhost.evil.example:80" }, 403},
		"through a proxy":        {func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.1") }, 403},
		"through another one":    {func(r *http.Request) { r.Header.Set("Forwarded", "for=192.0.2.1") }, 403},
		"an address that is not": {func(r *http.Request) { r.RemoteAddr = "@" }, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}, ReadSide: stuck})
			s.change = tt.change
			for _, path := range []string{"", "streams", "stream?type=Account&id=ann", "event?id=note-1", "export?format=jsonl"} {
				if got := s.get(path); got.code != tt.want || tt.want != 200 && strings.Contains(got.body, "ann") {
					t.Errorf("GET %s has status %d, want %d", path, got.code, tt.want)
				}
			}
			if got := s.post("act", url.Values{"what": {"retry"}, "name": {"p@1"}, "expect": {"1"}}); got.code != 403 {
				t.Errorf("an action has status %d, want 403", got.code)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}, Recent: console.NewRecent(1), ReadSide: stuck})
	for _, path := range append(pages(), "nothing", "login", "console.css", "console.js") {
		got := s.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if !strings.HasPrefix(got.header.Get(name), want) {
				t.Errorf("GET %s: %s is %q", path, name, got.header.Get(name))
			}
		}
		if strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			wantHarmless(t, path, got)
		}
		if !strings.HasPrefix(path, "console.") && got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("GET %s may be kept: %q", path, got.header.Get("Cache-Control"))
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}})
	form := branch("1", "Deposit", "{}")
	s.want(s.post("try", form, "Sec-Fetch-Site", "cross-site"), 403)
	s.want(s.post("try", form, "Origin", "https://evil.example"), 403)
	s.want(s.post("try", form, "Sec-Fetch-Site", "same-origin"), 200)
}

// TestTenants checks that a client cannot tell whether a tenant exists that it may not
// see.
func TestTenants(t *testing.T) {
	t.Parallel()
	st := memory.New()
	for _, tenant := range []string{"mine", "theirs"} {
		of, err := st.Tenant(tenant)
		if err != nil {
			t.Fatal(err)
		}
		add(t, of, store.Stream{Type: "Account", ID: tenant}, Opened{tenant})
	}
	access := console.Access{Name: "me", Tenants: []string{"mine"}, Data: true}
	s := open(t, console.Config{Store: st, Access: func(*http.Request) (console.Access, error) { return access, nil }})
	s.want(s.get(""), 200, "Account/mine", "tenant <b>mine</b>", `href="streams?tenant=mine"`)
	s.want(s.get("?tenant=mine"), 200, "Account/mine")
	missing := s.get("?tenant=missing")
	for _, path := range []string{"?tenant=theirs", "stream?tenant=theirs&type=Account&id=theirs", "export?tenant=theirs&format=jsonl", "tail?tenant=theirs", "?tenant=default"} {
		if got := s.get(path); got.code != 404 || got.body != missing.body {
			t.Errorf("GET %s: status %d:\n%s", path, got.code, got.body)
		}
	}
	two := open(t, console.Config{Store: st, Access: func(*http.Request) (console.Access, error) {
		return console.Access{Tenants: []string{"mine", "theirs"}}, nil
	}})
	s.want(two.get("?tenant=theirs"), 200, "Account/theirs", `<option selected value="theirs">`)
	every := open(t, console.Config{Store: st, Access: func(*http.Request) (console.Access, error) {
		return console.Access{AnyTenant: true}, nil
	}})
	every.want(every.get("?tenant=theirs"), 200, "Account/theirs", `<input name="tenant" value="theirs">`, "Switch")
	for _, restricted := range []*site{s, two} {
		if got := restricted.get(""); strings.Contains(got.body, "Switch") {
			t.Errorf("a client of some tenants is asked for any:\n%s", got.body)
		}
	}
}

const marker = "s3cret-marker"

// TestHiddenAndRedacted looks for a payload on every page, with a client that may not see
// it, and after it was redacted.
func TestHiddenAndRedacted(t *testing.T) {
	t.Parallel()
	st := memory.New()
	add(t, st, ann, Opened{marker}, Deposited{5})
	appendTo(t, st, store.Stream{Type: "Note", ID: "n/1"}, store.Event{
		ID: "note-1", Type: "Noted", Data: []byte(`{"text":"` + marker + `"}`), Meta: store.Metadata{Headers: map[string]string{"h": marker}, ActorID: marker},
	})
	redact := func(e *store.Recorded) {
		e.Data = []byte(`{}`)
		e.Meta.Headers, e.Meta.ActorID = nil, ""
	}
	config := console.Config{Store: st, Types: []console.Type{account()}, Recent: console.NewRecent(1), ReadSide: stuck}
	shown := open(t, config)
	config.Redact = redact
	redacted := open(t, config)
	config.Redact = func(e *store.Recorded) { e.Meta = store.Metadata{} }
	config.Access = func(*http.Request) (console.Access, error) { return console.Access{AnyTenant: true}, nil }
	blind := open(t, config)
	seen := 0
	for _, path := range append(pages(), "?q="+marker[:4]) {
		for _, accept := range []string{"text/html", "application/json"} {
			if strings.Contains(shown.get(path, "Accept", accept).body, marker) {
				seen++
			}
			if got := redacted.get(path, "Accept", accept); strings.Contains(got.body, marker) {
				t.Errorf("GET %s shows what was redacted:\n%s", path, got.body)
			}
			if got := blind.get(path, "Accept", accept); strings.Contains(got.body, marker) {
				t.Errorf("GET %s shows a payload to a client that may not see it:\n%s", path, got.body)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d pages show the marker to clients that may see it", seen)
	}
	if got := blind.get("?q=" + marker); strings.Contains(got.body, "note-1") || strings.Contains(got.body, "n/1") {
		t.Error("a search finds text in a payload that the client may not see")
	}
	for _, s := range []*site{redacted, blind} {
		if text := s.tail("tail?from=1", 1); strings.Contains(text, marker) {
			t.Errorf("the tail shows the marker: %s", text)
		}
	}
	if text := shown.tail("tail?from=1", 1); !strings.Contains(text, marker) {
		t.Errorf("the tail does not show the marker: %s", text)
	}
}

// hostile returns untrusted texts.
func hostile() []string {
	return []string{
		`<script>window.pwned=1</script>`, `"><img src=x onerror=window.pwned=1>`, `' onmouseover='window.pwned=1`, `javascript:window.pwned=1`, `</textarea><script>window.pwned=1</script>`,
		`</title><svg onload=window.pwned=1>`, "{{.Secret}}", "${window.pwned=1}", "\u202egnp.exe", "a\u0000b", "\x1b[31mred", "\u2028\u2029", "%00%3Cscript%3E", "../../etc", "a\r\nSet-Cookie: x=1", "=1+1",
		"https://evil.example/", "//evil.example", "tail?from=1", "&lt;b&gt;", "`+window.pwned`", "\ufeff", strings.Repeat("W", 500),
	}
}

// TestHostile fills every untrusted field with hostile texts, and checks every page.
func TestHostile(t *testing.T) {
	t.Parallel()
	for i, text := range hostile() {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			checkHostile(t, text)
		})
	}
}

func checkHostile(t *testing.T, text string) {
	t.Helper()
	name := strings.ReplaceAll(strings.ToValidUTF8(text, ""), "\x00", "")
	if name == "" || len(name) > store.MaxName {
		return
	}
	st := memory.New()
	s := store.Stream{Type: name, ID: name}
	data, _ := json.Marshal(map[string]string{name: text})
	e := store.Event{ID: name, Type: name, ContentType: name, Data: data, Meta: store.Metadata{CorrelationID: name, CausationID: name, ActorID: name, Headers: map[string]string{name: name}}}
	appendTo(t, st, s, e, store.Event{ID: "text", Type: "T", Data: []byte(text), Meta: store.Metadata{CausationID: name}})
	add(t, st, ann, Opened{text})
	site := open(t, console.Config{Store: st, Types: []console.Type{account()}, ReadSide: func(context.Context, string) ([]console.Projection, []console.Process, error) {
		return []console.Projection{parked{name, text}}, []console.Process{waiting{name, text}}, nil
	}})
	u := url.QueryEscape
	stream := "type=" + u(name) + "&id=" + u(name)
	for _, path := range []string{
		"", "?q=" + u(text), "?type=" + u(text) + "&id=" + u(text) + "&event=" + u(text) + "&at=" + u(text), "?tenant=" + u(text), "streams?" + stream, "streams?after_type=A&after=" + u(name),
		"stream?" + stream, "stream?" + stream + "&v=1", "event?id=" + u(name), "event?id=text", "flow?id=" + u(name), "flow?correlation=" + u(text),
		"stream?type=Account&id=ann", "try?type=Account&id=ann&command=" + u(text), "projections", "processes", "parked?name=" + u(name) + "&done=" + u(text), "waiting?name=" + u(name) + "&done=" + u(text), "search?find=" + u(text),
		"tenant/" + u(text),
	} {
		wantHarmless(t, path, site.get(path))
	}
	wantHarmless(t, "try", site.post("try", branch("1", name, text)))
	wantHarmless(t, "try", site.post("try", branch("1", "Open", text)))
	if frame := site.tail("tail?from=1", 1); strings.ContainsFunc(frame, unseen) {
		t.Errorf("the tail contains an invisible character: %q", frame)
	}
}

func unseen(r rune) bool {
	return r != '\n' && r != '\t' && r != '\u200d' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}

var (
	harmfulTag   = regexp.MustCompile(`(?i)<script[^>]*>[^<]|<(img|svg|iframe|object)|<[a-z]+[^>]*\s(on[a-z]+|style)=`)
	harmfulValue = regexp.MustCompile(`(?i)(href|src|action)="(javascript:|https?:|//)`)
	quoted       = regexp.MustCompile(`"[^"]*"`)
)

func wantHarmless(t *testing.T, path string, got answer) {
	t.Helper()
	found := harmfulValue.FindString(got.body) + harmfulTag.FindString(quoted.ReplaceAllString(got.body, `""`))
	if found != "" {
		t.Errorf("GET %s has %q:\n%s", path, found, got.body)
	}
	if to := got.header.Get("Location"); to != "" {
		if u, err := url.Parse(to); err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(to, "//") {
			t.Errorf("GET %s redirects to %q", path, to)
		}
	}
	hidden := regexp.MustCompile(`(?s) value="[^"]*"|>[^<]*</textarea>`).ReplaceAllString(got.body, "") // what a form sends back is what it got
	if i := strings.IndexFunc(hidden, unseen); i >= 0 {
		t.Errorf("GET %s contains an invisible character: %q", path, hidden[max(0, i-40):min(len(hidden), i+40)])
	}
}

func FuzzHostile(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	f.Fuzz(checkHostile)
}

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain ü 日本 👩‍👩‍👧\n\t": "plain ü 日本 👩‍👩‍👧\n\t", "a\x00b": `a\u0000b`, "\u202ea": `\u202ea`, "a\xffb": `a\xffb`, "\u2066": `\u2066`, "\r": `\u000d`, "\u2028": `\u2028`,
	} {
		if got := console.Clean(text); got != want {
			t.Errorf("clean(%q) = %q, want %q", text, got, want)
		}
	}
}

// login returns a console with a form for the token "good".
func login(t *testing.T) *site {
	t.Helper()
	s := open(t, console.Config{Store: bank(t), Login: func(_ context.Context, token string) (console.Access, error) {
		switch token {
		case "good":
			return console.Access{Name: "ann", AnyTenant: true, Data: true}, nil
		case "down":
			return console.Access{}, errors.New("the file cannot be read")
		}
		return console.Access{}, console.ErrUnauthenticated
	}})
	s.change = func(r *http.Request) { r.RemoteAddr, r.Host = "192.0.2.1:1", "console.example" }
	return s
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s := login(t)
	if got := s.get("stream?type=Account&id=ann"); got.code != http.StatusSeeOther || got.header.Get("Location") != "login?to=stream%3Ftype%3DAccount%26id%3Dann" {
		t.Fatalf("an unknown client gets %d, %q", got.code, got.header.Get("Location"))
	}
	s.want(s.get("", "Accept", "application/json"), 401)
	s.want(s.post("login", url.Values{"token": {"bad"}}), 401, "Unknown token")
	s.want(s.post("login", url.Values{"token": {"down"}}), 401, "could not be checked")
	in := s.post("login", url.Values{"token": {" good "}, "to": {"stream?type=Account&id=ann"}})
	cookie, err := http.ParseSetCookie(in.header.Get("Set-Cookie"))
	if err != nil || in.code != http.StatusSeeOther || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || len(cookie.Value) < 43 || cookie.Name != "console" {
		t.Fatalf("the login gets %d, %q, %v", in.code, in.header, err)
	}
	if to := in.header.Get("Location"); to != "./stream?type=Account&id=ann" {
		t.Errorf("the login redirects to %q", to)
	}
	s.want(s.get("", "Cookie", "console="+cookie.Value), 200, "You are ann", "Log out")
	s.want(s.get("", "Cookie", "console="+cookie.Value[1:]), http.StatusSeeOther)
	s.want(s.do("POST", "logout", nil, "Cookie", "console="+cookie.Value), http.StatusSeeOther)
	s.want(s.get("", "Cookie", "console="+cookie.Value), http.StatusSeeOther)
	for range 4 {
		s.post("login", url.Values{"token": {"bad"}})
	}
	s.want(s.post("login", url.Values{"token": {"good"}}), http.StatusTooManyRequests, "Too many attempts")
}

// TestMounted checks that the links of every page stay below the prefix that the console
// is mounted under.
func TestMounted(t *testing.T) {
	t.Parallel()
	s := login(t)
	s.want(s.get("try"), http.StatusSeeOther)
	anybody := open(t, console.Config{Store: bank(t), Types: []console.Type{account()}})
	for path, got := range map[string]answer{
		"login": s.get("stream?type=Account&id=ann"), "back": s.post("login", url.Values{"token": {"good"}}), "logout": s.do("POST", "logout", nil),
		"search": anybody.get("search?find=Account/ann"), "replay": anybody.post("replay", url.Values{"type": {"Account"}, "candidate": {"stricter"}}),
	} {
		if to := got.header.Get("Location"); got.code != http.StatusSeeOther || to == "" || strings.HasPrefix(to, "/") || strings.Contains(to, "..") {
			t.Errorf("%s: status %d redirects to %q", path, got.code, to)
		}
	}
}

func TestBackTo(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{"stream?a=b": "./stream?a=b", "//evil.example": "./?", "https://evil.example/": "./?", `\\evil`: "./?", "": "./?", "javascript:x": "./?"} {
		if got := console.BackTo(to); got != want {
			t.Errorf("backTo(%q) = %q, want %q", to, got, want)
		}
	}
}

// tail reads the given number of frames of a tail.
func (s *site) tail(path string, frames int, headers ...string) string {
	s.tb.Helper()
	server := httptest.NewServer(s.console)
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/"+path, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer got.Body.Close()
	var text strings.Builder
	for lines := bufio.NewScanner(got.Body); frames > 0 && lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			text.WriteString(data + "\n")
			frames--
		} else if strings.HasPrefix(lines.Text(), "id: ") {
			text.WriteString(lines.Text() + " ")
		}
	}
	return text.String()
}

func TestTail(t *testing.T) {
	t.Parallel()
	st := bank(t)
	s := open(t, console.Config{Store: st})
	if got := s.tail("tail?from=2&type=Account", 1); !strings.HasPrefix(got, "id: 3 ") || strings.Contains(got, "Opened") || strings.Count(got, `"position"`) != 2 {
		t.Errorf("the tail from 2 is %s", got)
	}
	if got := s.tail("tail?from=1", 1, "Last-Event-ID", "4"); !strings.HasPrefix(got, "id: 5 ") || strings.Count(got, `"position"`) != 1 {
		t.Errorf("the tail after 4 is %s", got)
	}
	for i := range 500 {
		appendTo(t, st, ann, store.Event{ID: strconv.Itoa(i), Type: "Many"})
	}
	rows, more, last := 0, 0, uint64(5)
	for data := range strings.Lines(s.tail("tail?from=6", 2)) {
		var frame struct {
			Rows []struct{ Position uint64 }
			More int
		}
		if err := json.Unmarshal([]byte(data[strings.Index(data, "{"):]), &frame); err != nil || len(frame.Rows) > 200 {
			t.Fatalf("a frame has %d rows, %v", len(frame.Rows), err)
		}
		for _, r := range frame.Rows {
			if r.Position <= last {
				t.Errorf("position %d comes after %d", r.Position, last)
			}
			last = r.Position
		}
		rows, more = rows+len(frame.Rows), more+frame.More
	}
	if rows+more != 500 || last != 505 {
		t.Errorf("of 500 events at once, the tail shows %d and counts %d more, up to %d", rows, more, last)
	}
}

// TestCloseEndsTails checks that Close returns while a client listens.
func TestCloseEndsTails(t *testing.T) {
	t.Parallel()
	s := open(t, console.Config{Store: bank(t)})
	done := make(chan string)
	go func() { done <- s.tail("tail?from=1", 2) }()
	for s.console.Tails() == 0 {
		time.Sleep(time.Millisecond)
	}
	s.console.Close()
	<-done
}

// stuck is a read side in which something waits.
func stuck(context.Context, string) ([]console.Projection, []console.Process, error) {
	return []console.Projection{parked{"p@1", "cause"}}, []console.Process{waiting{"w@1", "cause"}}, nil
}

type parked struct{ name, cause string }

func (p parked) Progress() projection.Progress {
	return projection.Progress{Build: p.name, State: "live", Position: 3, Head: 5, Parked: 1, Cause: errors.New(p.cause)}
}

func (p parked) Parked(context.Context) ([]projection.Parked, error) {
	return []projection.Parked{{Key: "key " + p.cause, Position: 3, Cause: p.cause, Attempts: 2}}, nil
}

func (p parked) Unpark(_ context.Context, key string) error {
	if key != "key "+p.cause {
		return errors.New("another key")
	}
	return nil
}

type waiting struct{ name, cause string }

func (w waiting) Progress() process.Progress {
	return process.Progress{Process: w.name, State: "live", Position: 3, Head: 5, Quarantined: 1, Cause: errors.New(w.cause)}
}

func (w waiting) Instances(_ context.Context, keep func(process.Instance) bool) (all []process.Instance, err error) {
	for _, i := range []process.Instance{
		{ID: "fine", Position: 4, Timers: 2},
		{ID: "i " + w.cause, Position: 3, Waiting: &process.InstanceError{Instance: "i", Position: 3, Cause: w.cause, Attempts: 2, Quarantined: true}},
	} {
		if keep == nil || keep(i) {
			all = append(all, i)
		}
	}
	return all, nil
}

func (waiting) Release(context.Context, string) error { return nil }

func (waiting) Skip(_ context.Context, _ string, position uint64) error {
	if position != 3 {
		return errors.New("another position")
	}
	return nil
}

func (waiting) Abandon(context.Context, string) error { return nil }

func TestActing(t *testing.T) {
	t.Parallel()
	config := console.Config{Store: bank(t), ReadSide: stuck, Access: func(*http.Request) (console.Access, error) {
		return console.Access{Name: "ann", AnyTenant: true, Data: true, Act: true}, nil
	}}
	s := open(t, config)
	s.want(s.get("projections"), 200, "p@1", "▲", "cause")
	s.want(s.get("parked?name=p@1"), 200, "key cause", "Try again", `name="expect" value="1"`)
	s.want(s.get("waiting?name=w@1"), 200, "quarantined", "Abandon", "2 instances, 1 of them waiting", "2 timers")
	s.want(s.get("parked?name=none"), 404)
	form := func(what, name, of string, more ...string) url.Values {
		v := url.Values{"what": {what}, "name": {name}, "of": {of}, "expect": {"1"}, "position": {"3"}, "reason": {"because"}}
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	for _, tt := range []struct {
		form url.Values
		want int
	}{
		{form("retry", "p@1", "key cause"), http.StatusSeeOther},
		{form("retry", "p@1", "key cause", "expect", "3"), http.StatusConflict},
		{form("retry", "p@1", "other"), http.StatusConflict},
		{form("retry", "none", "key cause"), http.StatusNotFound},
		{form("release", "w@1", "i cause"), http.StatusSeeOther},
		{form("release", "w@1", "i cause", "expect", "0"), http.StatusConflict},
		{form("skip", "w@1", "i cause"), http.StatusBadRequest},
		{form("skip", "w@1", "i cause", "confirm", "w@1"), http.StatusSeeOther},
		{form("skip", "w@1", "i cause", "confirm", "w@1", "position", "4"), http.StatusConflict},
		{form("abandon", "w@1", "i cause", "confirm", "w@2"), http.StatusBadRequest},
		{form("abandon", "w@1", "i cause", "confirm", "w@1"), http.StatusSeeOther},
		{form("explode", "w@1", "i cause"), http.StatusBadRequest},
	} {
		if got := s.post("act", tt.form); got.code != tt.want {
			t.Errorf("act %v has status %d, want %d:\n%s", tt.form, got.code, tt.want, got.body)
		}
	}
	config.Access = nil
	look := open(t, config)
	if got := look.get("parked?name=p@1"); strings.Contains(got.body, "Try again") {
		t.Error("a client that may only look is offered an action")
	}
	look.want(look.post("act", form("retry", "p@1", "key cause")), 403)
}
