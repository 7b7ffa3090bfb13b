package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/evolvego/evolve/decider/console"
	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/memory"
)

// browser starts Chromium, and returns a function that opens a tab. If there is no
// Chromium, it skips the test, and fails it in CI.
func browser(t *testing.T) func(t *testing.T) *tab {
	t.Helper()
	path := os.Getenv("EVOLVE_CHROMIUM")
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); path == "" && err == nil {
			path = found
		}
	}
	if path == "" {
		const missing = "NOT TESTED: the console in a browser. Install chromium-headless-shell, or name one in EVOLVE_CHROMIUM"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("no-sandbox", os.Getuid() == 0),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	first, cancelFirst := chromedp.NewContext(ctx)
	t.Cleanup(cancelFirst)
	if err := chromedp.Do(first); err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T) *tab {
		t.Helper()
		ctx, cancel := chromedp.NewContext(first)
		t.Cleanup(cancel)
		b := &tab{t: t, ctx: ctx}
		err := chromedp.Listen(ctx, func(ev any) {
			b.mu.Lock()
			defer b.mu.Unlock()
			switch ev := ev.(type) {
			case *log.EventEntryAdded:
				b.said = append(b.said, fmt.Sprint(ev.Entry.Level, ": ", ev.Entry.Text))
			case *runtime.EventExceptionThrown:
				b.said = append(b.said, "exception: "+ev.ExceptionDetails.Text)
			case *runtime.EventConsoleAPICalled:
				b.said = append(b.said, "console."+string(ev.Type))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// tab is a tab of a browser.
type tab struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // the name that chromedp gives a tab
	mu   sync.Mutex
	said []string // the log of the browser's console; guarded by mu
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(address string) { b.t.Helper(); b.do(chromedp.Navigate(address)) }

// eval returns the value of an expression, as text.
func (b *tab) eval(expression string) string {
	b.t.Helper()
	got, err := b.ask(expression)
	if err != nil {
		b.t.Fatalf("%.200s: %v", expression, err)
	}
	return got
}

func (b *tab) ask(expression string) (string, error) {
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[string]("String("+expression+")"))
}

// wait waits until an expression is true. A page that is left or still loading cannot say
// so, which is no failure: the next one is asked.
func (b *tab) wait(expression string) {
	b.t.Helper()
	var got string
	var err error
	for range 600 {
		if got, err = b.ask("(() => { try { return " + expression + " } catch { return false } })()"); err == nil && got == "true" {
			return
		}
		time.Sleep(50 * time.Millisecond) // the browser is another process
	}
	b.t.Fatalf("it never is that %s, %v:\n%s", expression, err, b.eval("document.body.innerText"))
}

// looks sets the width of the window and the colour scheme.
func (b *tab) looks(width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 900), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

func (b *tab) scripts(on bool) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// quiet fails if the console of the browser has an entry, such as a violation of the
// content security policy.
func (b *tab) quiet(about string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.said {
		b.t.Errorf("%s: the browser reports %s", about, text)
	}
	b.said = nil
}

// keep writes a picture of the page to the directory EVOLVE_ARTIFACTS.
func (b *tab) keep(name string) {
	b.t.Helper()
	dir := os.Getenv("EVOLVE_ARTIFACTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.MkdirAll(dir, 0o750)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "console-"+name+".png"), picture, 0o600)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// barriers returns the findings of axe-core.
func (b *tab) barriers(axe string) string {
	b.t.Helper()
	b.do(chromedp.Evaluate[chromedp.Void](axe + "; undefined"))
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[string](`axe.run({ resultTypes: ['violations'] }).then((r) =>
		r.violations.map((v) => v.id + ': ' + v.help + ' ' + v.nodes.map((n) => n.html.slice(0, 160) + ' ' + n.any.map((a) => a.message).join()).join('; ')).join('\n'))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// screens returns the pages of the console of a bank.
func screens() map[string]string {
	return map[string]string{
		"log": "", "filtered": "?type=Account&event=Withdrawn&q=3", "streams": "streams?type=Account", "stream": "stream?type=Account&id=acc-1&v=9", "data": "stream?type=Transfer&id=t-9&v=1",
		"event": "event?id=taken", "flow": "flow?id=taken", "try": "try?type=Account&id=acc-1&v=9", "replay": "replay?type=Account", "recent": "recent",
		"projections": "projections", "parked": "parked?name=statements@1", "processes": "processes", "waiting": "waiting?name=Courier@1", "missing": "nothing",
	}
}

// TestConsoleInBrowser tests the console in a real browser.
func TestConsoleInBrowser(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("NOT TESTED with -short: the console in a browser")
	}
	newTab := browser(t)
	axe, err := os.ReadFile("testdata/axe/axe.min.js")
	if err != nil {
		t.Fatal(err)
	}
	c := console.New(bankConsole(t))
	mux := http.NewServeMux()
	mux.Handle("/console/", http.StripPrefix("/console", c))
	server := httptest.NewServer(mux)
	t.Cleanup(func() { c.Close(); server.Close() })
	at := server.URL + "/console/"
	t.Run("every screen, wide and narrow, light and dark", func(t *testing.T) {
		t.Parallel()
		b := newTab(t)
		for name, path := range screens() {
			b.checkScreen(name, at+path, string(axe))
		}
	})
	t.Run("without JavaScript", func(t *testing.T) {
		t.Parallel()
		b := newTab(t)
		b.scripts(false)
		for name, path := range screens() {
			b.open(at + path)
			if b.eval("document.querySelector('h1').innerText.length > 0 && ![...document.querySelectorAll('.js')].some((e) => e.checkVisibility())") != "true" {
				t.Errorf("%s shows controls that only work with JavaScript", name)
			}
		}
		b.said = nil // the page that does not exist
		b.open(at + "stream?type=Account&id=acc-1&v=9")
		b.do(chromedp.Click(chromedp.CSS(`[data-key="prev"]`)))
		b.wait("location.search.includes('v=8') && document.querySelector('#v')?.value === '8'")
		b.open(at + "try?type=Account&id=acc-1&v=9")
		b.do(chromedp.Click(chromedp.CSS("button.main")))
		b.wait("document.body.innerText.includes('accepted')")
		b.quiet("without JavaScript")
	})
	t.Run("time travel", func(t *testing.T) { t.Parallel(); newTab(t).travels(at) })
	t.Run("ask", func(t *testing.T) { t.Parallel(); newTab(t).asks(at) })
	t.Run("act", func(t *testing.T) { t.Parallel(); newTab(t).acts(at) })
	t.Run("hostile texts", func(t *testing.T) { t.Parallel(); newTab(t).strangers() })
	t.Run("a tail across a restart", func(t *testing.T) { t.Parallel(); newTab(t).restarts() })
}

// checkScreen checks a page in two ways, or in four if pictures are kept. axe-core is
// slow, so without pictures it checks only the wide pages and some of the narrow ones.
func (b *tab) checkScreen(name, address, axe string) {
	all := os.Getenv("EVOLVE_ARTIFACTS") != ""
	for _, look := range []struct {
		width      int64
		scheme     string
		axe, extra bool
	}{
		{1440, "light", true, false},
		{360, "dark", all || slices.Contains([]string{"log", "stream", "try"}, name), false},
		{1440, "dark", true, true},
		{360, "light", true, true},
	} {
		if look.extra && !all {
			continue
		}
		what := fmt.Sprintf("%s-%d-%s", name, look.width, look.scheme)
		b.looks(look.width, look.scheme)
		b.open(address)
		if b.eval("document.documentElement.scrollWidth <= innerWidth") != "true" {
			b.t.Errorf("%s is wider than its window: %s", what, b.eval("document.documentElement.scrollWidth"))
		}
		b.keep(what)
		if look.axe {
			if found := b.barriers(axe); found != "" {
				b.t.Errorf("%s has barriers:\n%s", what, found)
			}
		}
	}
	if name == "missing" {
		b.said = nil // the browser reports the missing page
	}
	b.quiet(name)
}

// travels moves the slider, and presses keys.
func (b *tab) travels(at string) {
	b.looks(1440, "light")
	b.open(at + "stream?type=Account&id=acc-1&v=9")
	b.do(chromedp.Evaluate[chromedp.Void]("window.same = true; undefined"))
	b.do(chromedp.KeyEvent(kb.ArrowLeft)) // ←
	b.wait("document.querySelector('#h-state').innerText.includes('version 8') && location.search.includes('v=8')")
	b.do(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight)) // →
	b.wait("document.querySelector('#h-state').innerText.includes('version 9') || document.querySelector('#h-state').innerText.includes('version 10')")
	b.do(chromedp.Evaluate[chromedp.Void]("const s = document.querySelector('#slider'); s.value = 3; s.dispatchEvent(new Event('input')); undefined"))
	b.wait("document.querySelector('#h-state').innerText.includes('version 3') && document.querySelector('#v').value === '3'")
	if b.eval("window.same") != "true" {
		b.t.Error("time travel reloads the page")
	}
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("\r"))
	b.wait("document.querySelector('.timeline a[aria-current]').closest('li') === document.querySelectorAll('.timeline li')[1]")
	b.do(chromedp.KeyEvent("/"))
	b.wait("document.activeElement.name === 'find'")
	b.do(chromedp.KeyEvent("j"))
	if got := b.eval("document.activeElement.value"); !strings.HasSuffix(got, "j") {
		b.t.Errorf("a key in a field makes it %q, want j at its end", got)
	}
	b.quiet("time travel")
}

// asks tries a command that is rejected, and replays.
func (b *tab) asks(at string) {
	b.looks(1440, "light")
	b.open(at + "try?type=Account&id=acc-1&v=9")
	b.do(chromedp.Evaluate[chromedp.Void]("const n = document.querySelector('#name'); n.value = 'Withdraw'; n.dispatchEvent(new Event('change')); undefined"))
	b.wait(`document.querySelector('#json').value === '{"Cents":0}'`)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('#json').value = '{"Cents": 99000}'; undefined`), chromedp.Click(chromedp.CSS("button.main")))
	b.wait("document.body.innerText.includes('Why not') && document.body.innerText.includes('≥ 99000')")
	b.keep("why-1440-light")
	b.looks(360, "dark")
	b.keep("why-360-dark")
	b.looks(1440, "light")
	b.open(at + "replay?type=Account")
	b.do(chromedp.Click(chromedp.CSS("button.main")))
	b.wait("document.body.innerText.includes('done in')")
	b.wait("document.body.innerText.includes('at most 10.00 at once')")
	b.keep("replayed-1440-light")
	b.quiet("questions")
}

// acts tries what is parked again, and finds the record of it.
func (b *tab) acts(at string) {
	b.looks(1440, "light")
	b.open(at + "parked?name=statements@1")
	fill := func(field, text string) chromedp.Action[chromedp.Void] {
		return chromedp.Evaluate[chromedp.Void](fmt.Sprintf("document.querySelector('.bulk [name=%s]').value = %q; undefined", field, text))
	}
	b.do(fill("confirm", "statements"), fill("reason", "the currency is known now"), chromedp.Click(chromedp.CSS(".bulk button")))
	b.wait("document.body.innerText.includes('Type the name, statements@1, to confirm')")
	b.said = nil // the browser says that this was refused
	b.open(at + "parked?name=statements@1")
	b.do(fill("confirm", "statements@1"), fill("reason", "the currency is known now"), chromedp.Click(chromedp.CSS(".bulk button")))
	b.wait("document.body.innerText.includes('Done: tried 2 keys again')")
	b.open(at + "stream?tenant=audit&type=Console&id=actions")
	b.wait("document.body.innerText.includes('ActionTaken') && document.body.innerText.includes('the currency is known now')")
	b.keep("audit-1440-light")
	b.quiet("acting")
}

// strangers checks pages whose texts are attacks.
func (b *tab) strangers() {
	st := memory.New()
	for _, text := range []string{
		`<script>window.pwned=1</script>`, `"><img src=x onerror=window.pwned=1>`, `' onmouseover='window.pwned=1`, `javascript:window.pwned=1`,
		`</textarea></title><svg onload=window.pwned=1>`, "\u202egnp.exe", "\x1b[31mred", "a\r\nb", `<form action=//evil.example>`,
	} {
		e := store.Event{ID: text, Type: text, Data: []byte(text), Meta: store.Metadata{CorrelationID: "c", ActorID: text, Headers: map[string]string{text: text}}}
		if _, err := st.Append(b.t.Context(), store.Stream{Type: text, ID: text}, store.Any, []store.Event{e}); err != nil {
			b.t.Fatal(err)
		}
	}
	c := console.New(console.Config{Store: st})
	server := httptest.NewServer(c)
	b.t.Cleanup(func() { c.Close(); server.Close() })
	look := func(address string) {
		b.open(address)
		if got := b.eval("window.pwned"); got != "undefined" {
			b.t.Errorf("%s: an injected script ran", address)
		}
		b.quiet(address)
	}
	look(server.URL + "/flow?correlation=c")
	look(server.URL + "/streams")
	look(server.URL + "/")
	links := strings.Split(b.eval("[...document.querySelectorAll('tbody a')].map((a) => a.href).join('\\n')"), "\n")
	if len(links) < 18 {
		b.t.Errorf("there are only %d links", len(links))
	}
	for _, link := range links {
		if u, err := url.Parse(link); err != nil || "http://"+u.Host != server.URL {
			b.t.Errorf("a link leads to %q", link)
			continue
		}
		look(link)
	}
	b.open(server.URL + "/")
	if _, err := st.Append(b.t.Context(), store.Stream{Type: "T", ID: "<img src=x onerror=window.pwned=1>"}, store.Any, []store.Event{{ID: "live", Type: "<script>window.pwned=1</script>"}}); err != nil {
		b.t.Fatal(err)
	}
	b.wait("document.querySelectorAll('tbody tr').length === 10")
	if b.eval("window.pwned") != "undefined" {
		b.t.Error("an injected script ran in a new row")
	}
	b.quiet("new rows")
}

// restarts follows the log while its server is stopped and restarted.
func (b *tab) restarts() {
	st := memory.New()
	n := 0
	add := func(count int) {
		for range count {
			n++
			if _, err := st.Append(b.t.Context(), store.Stream{Type: "T", ID: "1"}, store.Any, []store.Event{{ID: fmt.Sprint("e", n), Type: "E"}}); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	var network net.ListenConfig
	begin := func(address string) (string, func()) {
		lis, err := network.Listen(b.t.Context(), "tcp", address)
		if err != nil {
			b.t.Fatal(err)
		}
		c := console.New(console.Config{Store: st})
		s := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
		go func() { _ = s.Serve(lis) }()
		return lis.Addr().String(), func() { s.Close(); c.Close() }
	}
	add(3)
	address, stop := begin("127.0.0.1:0")
	b.open("http://" + address + "/")
	seen := func(n int) {
		b.t.Helper()
		b.wait(fmt.Sprintf("document.querySelectorAll('tbody tr').length >= %d", n))
		if got, want := b.eval("[...document.querySelectorAll('td.pos')].map((d) => d.innerText).join()"), positions(n); got != want {
			b.t.Errorf("the rows are %s, want %s", got, want)
		}
	}
	seen(3)
	b.wait("document.querySelector('#live').innerText === 'live'")
	add(5)
	seen(8)
	stop()
	b.wait("document.querySelector('#live').innerText === 'reconnecting'")
	add(5)
	_, stop = begin(address)
	defer stop()
	seen(13)
	add(4)
	seen(17)
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	add(2)
	b.wait("document.querySelector('#live').innerText === 'paused'")
	b.do(chromedp.Click(chromedp.CSS("#pause")))
	seen(19)
}

// positions returns the numbers from n down to 1, as a page shows them.
func positions(n int) string {
	var all []string
	for ; n > 0; n-- {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, ",")
}
