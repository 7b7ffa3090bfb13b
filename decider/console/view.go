package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/evolvego/evolve/internal/show"
	"github.com/evolvego/evolve/store"
)

//go:embed assets
var assets embed.FS

// pageError is an error that the client sees.
type pageError struct {
	code        int
	title, text string
}

func (e *pageError) Error() string { return "console: " + e.title + ": " + e.text }

var errNotFound = &pageError{http.StatusNotFound, "Not found", "There is no such page, or you may not see it."}

func badRequest(format string, args ...any) error {
	return &pageError{http.StatusBadRequest, "Not valid", fmt.Sprintf(format, args...)}
}

// view is the common part of all pages.
type view struct {
	Title  string    `json:"-"`
	Tenant string    `json:"tenant,omitempty"`
	Here   string    `json:"-"` // the page, for the header
	Who    string    `json:"-"`
	Pages  []navLink `json:"-"`
	Others []string  `json:"-"` // tenants to choose from
	Switch bool      `json:"-"` // the client may see every tenant
	Hidden bool      `json:"-"` // the client may not see payloads
	May    bool      `json:"-"` // the client may act
	Leave  bool      `json:"-"` // the client may log out
}

type navLink struct {
	Name, Page string
	Now        bool
}

func (q *request) view(here, title string) view {
	v := view{Title: title, Tenant: q.tenant, Here: here, Who: q.access.Name, Hidden: !q.access.Data, May: q.access.Act}
	pages := []navLink{{Name: "Log", Page: "./"}, {Name: "Streams", Page: "streams"}}
	if q.c.config.ReadSide != nil {
		pages = append(pages, navLink{Name: "Projections", Page: "projections"}, navLink{Name: "Processes", Page: "processes"})
	}
	if q.c.config.Recent != nil {
		pages = append(pages, navLink{Name: "Recent", Page: "recent"})
	}
	for i := range pages {
		pages[i].Now = pages[i].Page == here
	}
	v.Pages = pages
	if _, err := q.r.Cookie(cookieName(q.r)); err == nil {
		v.Leave = true
	}
	_, tenants := q.c.config.Store.(store.Tenants)
	switch {
	case q.access.AnyTenant:
		v.Switch = tenants
	case len(q.access.Tenants) > 1:
		v.Others = q.access.Tenants
	}
	return v
}

// Link returns the address of a page, with its arguments, which are names and values.
func (v view) Link(page string, args ...any) string {
	values := url.Values{}
	for i := 0; i+1 < len(args); i += 2 {
		if value := fmt.Sprint(args[i+1]); value != "" {
			values.Set(fmt.Sprint(args[i]), value)
		}
	}
	if v.Tenant != "" && v.Tenant != store.DefaultTenant {
		values.Set("tenant", v.Tenant)
	}
	if len(values) == 0 {
		return page
	}
	return page + "?" + values.Encode()
}

// OfStream returns the address of a stream at a version; 0 is the last one.
func (v view) OfStream(s store.Stream, version uint64) string {
	if version == 0 {
		return v.Link("stream", "type", s.Type, "id", s.ID)
	}
	return v.Link("stream", "type", s.Type, "id", s.ID, "v", version)
}

// templates are parsed when the first page is shown.
var templates = sync.OnceValue(func() *template.Template { //nolint:gochecknoglobals // parsed once, never changed
	return template.Must(template.New("").Funcs(template.FuncMap{
		"clean": clean, "when": when, "stamp": stamp, "count": count, "cut": show.Cut, "asset": assetURL, "pairs": pairs, "plural": plural,
		"kind": kind, "next": next, "before": before,
	}).ParseFS(assets, "assets/*.html"))
})

// render writes a page.
func (c *Console) render(w http.ResponseWriter, code int, name string, page any) {
	var body bytes.Buffer
	if err := templates().ExecuteTemplate(&body, name, page); err != nil {
		c.logger.Error("console: a page failed", "page", name, "error", err)
		http.Error(w, "this page failed; the log says why", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(body.Bytes())
}

func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json")
}

// answer writes a page as HTML, or as JSON if the client accepts that.
func (q *request) answer(name string, page any) error {
	q.w.Header().Set("Vary", "Accept")
	if !wantsJSON(q.r) {
		q.c.render(q.w, http.StatusOK, name, page)
		return nil
	}
	body, err := json.MarshalIndent(page, "", "  ")
	if err != nil {
		return err
	}
	q.w.Header().Set("Content-Type", "application/json")
	_, _ = q.w.Write(append(body, '\n'))
	return nil
}

type failure struct {
	view `json:"-"`

	Text string `json:"error"`
}

// fail sends an error page. It logs details that the client may not know.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, q *request, err error) {
	var told *pageError
	switch {
	case errors.As(err, &told):
	case errors.Is(err, ErrUnauthenticated):
		w.Header().Set("WWW-Authenticate", "Bearer")
		told = &pageError{http.StatusUnauthorized, "Not logged in", "The credentials are missing or not valid."}
	case errors.Is(err, store.ErrInvalid):
		told = &pageError{http.StatusBadRequest, "Not valid", err.Error()}
	case errors.Is(err, context.Canceled):
		told = &pageError{http.StatusServiceUnavailable, "Ended", "The console was closed, or the request was cancelled."}
	default:
		c.logger.ErrorContext(r.Context(), "console: a request failed", "path", r.URL.Path, "error", err)
		told = &pageError{http.StatusBadGateway, "The store failed", "The error is in the log of this program."}
	}
	page := failure{view{Title: told.title}, told.text}
	if q != nil && q.source != nil {
		page.view = q.view("", told.title)
	}
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(told.code)
		_ = json.NewEncoder(w).Encode(page)
		return
	}
	c.render(w, told.code, "failure", page)
}

// redirect redirects to another page. [http.Redirect] would make its address absolute,
// and does not know the prefix that the console is mounted under.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// asset returns the handler of a public file.
func asset(name, contentType string) http.HandlerFunc {
	body, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(body)
	}
}

// assetURL returns the address of a file, which changes when the file does.
func assetURL(name string) (string, error) {
	body, err := assets.ReadFile("assets/" + name)
	sum := sha256.Sum256(body)
	return name + "?" + hex.EncodeToString(sum[:4]), err
}

// clean returns text in which everything is escaped that is invisible, or that changes
// how the surrounding text is read: control characters except tabs and line ends, and
// characters that change the direction of text.
func clean(text string) string {
	if !strings.ContainsFunc(text, unseen) && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case unseen(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += size
	}
	return b.String()
}

func unseen(r rune) bool {
	switch r {
	case '\n', '\t', '\u200d': // the last one joins emoji
		return false
	case '\u2028', '\u2029', '\ufeff', '\u00ad':
		return true
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)
}

// line is clean for one line.
func line(text string) string {
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(clean(text))
}

// when formats a time for people, in UTC.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// stamp formats a time for machines.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// took formats a duration for people.
func took(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}

// count formats a number with a separator for thousands.
func count(n any) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// plural formats a number of things, such as "1 event" or "2 events".
func plural(n any, one string) string {
	if text := count(n); text != "1" {
		return text + " " + one + "s"
	}
	return "1 " + one
}

// kind returns the CSS class of a value of this kind.
func kind(of string) string {
	if slices.Contains([]string{"text", "number", "bool", "nil", "more"}, of) {
		return of
	}
	return "other"
}

// next returns n plus one, and before returns n minus one.
func next(n any) (uint64, error) {
	switch n := n.(type) {
	case int:
		return uint64(n) + 1, nil //nolint:gosec // an index
	case uint64:
		return n + 1, nil
	}
	return 0, fmt.Errorf("%T is not a number", n)
}

func before(n any) (any, error) {
	switch n := n.(type) {
	case int:
		return n - 1, nil
	case uint64:
		return n - min(n, 1), nil
	}
	return 0, fmt.Errorf("%T is not a number", n)
}

// pairs makes a map of names and values, for templates that need several arguments.
func pairs(args ...any) map[string]any {
	m := make(map[string]any, len(args)/2)
	for i := 0; i+1 < len(args); i += 2 {
		m[fmt.Sprint(args[i])] = args[i+1]
	}
	return m
}

// row is an event in a table.
type row struct {
	Position    uint64       `json:"position"`
	Version     uint64       `json:"version"`
	StreamType  string       `json:"stream_type"`
	StreamID    string       `json:"stream_id"`
	ID          string       `json:"id"`
	Type        string       `json:"type"`
	Schema      uint32       `json:"schema,omitempty"`
	ContentType string       `json:"content_type,omitempty"`
	Time        time.Time    `json:"time,omitzero"`
	RecordedAt  time.Time    `json:"recorded_at,omitzero"`
	Actor       string       `json:"actor_id,omitempty"`
	Correlation string       `json:"correlation_id,omitempty"`
	Causation   string       `json:"causation_id,omitempty"`
	Preview     string       `json:"preview,omitempty"` // of the payload, on one line
	Stream      store.Stream `json:"-"`
}

const previewRunes = 160

func rowOf(e *store.Recorded) row {
	return row{
		Position: e.Position, Version: e.Version, StreamType: e.Stream.Type, StreamID: e.Stream.ID, Stream: e.Stream,
		ID: e.ID, Type: e.Type, Schema: e.Schema, ContentType: e.ContentType, Time: e.Time, RecordedAt: e.RecordedAt,
		Actor: e.Meta.ActorID, Correlation: e.Meta.CorrelationID, Causation: e.Meta.CausationID, Preview: preview(e),
	}
}

func rowsOf(events []store.Recorded) []row {
	rows := make([]row, len(events))
	for i := range events {
		rows[i] = rowOf(&events[i])
	}
	return rows
}

// preview returns the beginning of a payload, on one line.
func preview(e *store.Recorded) string {
	switch {
	case e.Value != nil:
		return line(show.Cut(show.Text(e.Value), previewRunes))
	case len(e.Data) == 0:
		return ""
	}
	head := e.Data[:min(len(e.Data), 4*previewRunes)]
	if bytes.IndexByte(head, 0) >= 0 || !utf8.Valid(head[:max(0, len(head)-utf8.UTFMax)]) {
		return count(len(e.Data)) + " bytes, not text"
	}
	var compact bytes.Buffer
	if len(e.Data) <= len(head) && json.Compact(&compact, e.Data) == nil {
		head = compact.Bytes()
	}
	return line(show.Cut(strings.ToValidUTF8(string(head), ""), previewRunes))
}
