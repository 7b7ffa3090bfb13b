package console

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/evolvego/evolve/store"
)

// sees reports whether a may see a tenant.
func (a Access) sees(tenant string) bool { return a.AnyTenant || slices.Contains(a.Tenants, tenant) }

// first returns the tenant that a sees if the request names none.
func (a Access) first() string {
	if a.sees(store.DefaultTenant) || len(a.Tenants) == 0 {
		return store.DefaultTenant
	}
	return a.Tenants[0]
}

// accessOf returns the access of the client of r.
func (c *Console) accessOf(r *http.Request) (Access, error) {
	if access, ok := c.sessions.of(r); ok {
		return access, nil
	}
	if c.config.Access != nil {
		return c.config.Access(r)
	}
	if local(r) {
		return Access{Name: "local", AnyTenant: true, Data: true}, nil
	}
	if c.config.Login != nil {
		return Access{}, ErrUnauthenticated
	}
	return Access{}, &pageError{
		http.StatusForbidden, "Only on this machine",
		"This console only answers clients on this machine that request localhost. Set Config.Access to admit others.",
	}
}

// local reports whether r is from this machine, without a proxy and without another host
// name. Another name may belong to an attacker, whose page could read the answer.
func local(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !net.ParseIP(host).IsLoopback() {
		return false
	}
	name := r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	return slices.Contains([]string{"localhost", "127.0.0.1", "[::1]", "::1"}, name)
}

const (
	sessionFor  = 8 * time.Hour
	maxSessions = 1000
	maxFailures = 5 // per address and minute
)

// sessions are the clients that have logged in. The zero value is ready to use.
type sessions struct {
	mu       sync.Mutex
	known    map[[32]byte]session   // guarded by mu; by the hash of the cookie
	failures map[string][]time.Time // guarded by mu; by address
}

type session struct {
	access Access
	until  time.Time
}

// cookieName returns the name of the cookie. Other hosts cannot set a cookie whose name
// begins with __Host-, but such a name needs TLS.
func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-console"
	}
	return "console"
}

func (s *sessions) of(r *http.Request) (Access, bool) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return Access{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	is, ok := s.known[sha256.Sum256([]byte(cookie.Value))]
	return is.access, ok && now().Before(is.until)
}

// begin records a client, and returns its cookie.
func (s *sessions) begin(access Access) string {
	secret := rand.Text() + rand.Text() // 256 bits
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[[32]byte]session)
	}
	at := now()
	for key, is := range s.known {
		if at.After(is.until) || len(s.known) >= maxSessions {
			delete(s.known, key)
		}
	}
	s.known[sha256.Sum256([]byte(secret))] = session{access, at.Add(sessionFor)}
	return secret
}

func (s *sessions) end(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, sha256.Sum256([]byte(secret)))
}

// mayTry reports whether an address may try again after its failures.
func (s *sessions) mayTry(address string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lately(address)) < maxFailures
}

func (s *sessions) failed(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == nil || len(s.failures) > maxSessions {
		s.failures = make(map[string][]time.Time)
	}
	s.failures[address] = append(s.lately(address), now())
}

// lately returns the failures of the last minute. The caller holds mu.
func (s *sessions) lately(address string) []time.Time {
	since := now().Add(-time.Minute)
	return slices.DeleteFunc(s.failures[address], func(t time.Time) bool { return t.Before(since) })
}

func now() time.Time { return time.Now() } //nolint:forbidigo // for sessions and jobs, which concern people

// loginTo returns the target of r as a query.
func loginTo(r *http.Request) string {
	return url.QueryEscape(strings.TrimPrefix(r.URL.Path, "/") + "?" + r.URL.RawQuery)
}

// backTo returns where to go after a login: to, if it is a page of the console, or the
// first page.
func backTo(to string) string {
	page, query, _ := strings.Cut(to, "?")
	if strings.ContainsAny(page, "/\\:") {
		page = ""
	}
	return "./" + page + "?" + query
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	if c.config.Login == nil {
		c.fail(w, r, nil, errNotFound)
		return
	}
	c.render(w, http.StatusOK, "login", loginView{view: view{Title: "Log in"}, To: r.FormValue("to")})
}

type loginView struct {
	view

	To, Problem string
}

// login admits a client that has a token.
func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	address, _, _ := net.SplitHostPort(r.RemoteAddr)
	page := loginView{view: view{Title: "Log in"}, To: r.PostFormValue("to")}
	switch {
	case c.config.Login == nil:
		c.fail(w, r, nil, errNotFound)
		return
	case !c.sessions.mayTry(address):
		page.Problem = "Too many attempts. Wait a minute."
		c.render(w, http.StatusTooManyRequests, "login", page)
		return
	}
	access, err := c.config.Login(r.Context(), strings.TrimSpace(r.PostFormValue("token")))
	if err != nil {
		c.sessions.failed(address)
		c.logger.WarnContext(r.Context(), "console: refused a login", "address", address, "error", err)
		page.Problem = "Unknown token."
		if !errors.Is(err, ErrUnauthenticated) {
			page.Problem = "The token could not be checked."
		}
		c.render(w, http.StatusUnauthorized, "login", page)
		return
	}
	c.logger.InfoContext(r.Context(), "console: login", "name", access.Name)
	http.SetCookie(w, cookie(r, c.sessions.begin(access), int(sessionFor.Seconds())))
	redirect(w, backTo(page.To))
}

func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // without TLS a browser would not keep it if it were Secure
		Name: cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	}
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	if is, err := r.Cookie(cookieName(r)); err == nil {
		c.sessions.end(is.Value)
	}
	http.SetCookie(w, cookie(r, "", -1))
	redirect(w, "./login")
}
