package props

import (
	"html/template"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/evolvego/evolve/internal/show"
)

// artifacts is the name of the variable that holds the folder of the pages.
const artifacts = "EVOLVE_ARTIFACTS"

// publish writes the page of p, and returns a line with its path. Each failure has a file
// of its own, which stays when the test is over.
func (p *report[C, S, E]) publish(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(artifacts)
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil { //nolint:gosec // the user names this folder
			return "\n\tpage: " + err.Error()
		}
	}
	// Not t.TempDir, which is removed after the test.
	file, err := os.CreateTemp(dir, unsafeInNames.ReplaceAllString(p.test, "_")+"-*.html")
	if err != nil {
		return "\n\tpage: " + err.Error()
	}
	err = p.write(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return "\n\tpage: " + err.Error()
	}
	path, err := filepath.Abs(file.Name())
	if err != nil {
		path = file.Name()
	}
	return "\n\tpage: " + path
}

var unsafeInNames = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// page is the data of the template.
type page struct {
	Law, Where, Breach   string
	Test, Package, Again string
	Start                string
	Steps                []pageStep
	Scenario             string
	Events               int
}

type pageStep struct {
	Number                  int
	Command, Kind, After    string
	Events                  []string
	Changes                 []show.Change
	Rejection               string
	Rejected, Nothing, Here bool
}

func (p *report[C, S, E]) write(w io.Writer) error {
	pkg := testedPackage()
	v := page{
		Law: p.law.name, Where: headline(p.law.name, p.breach.step), Breach: p.breach.text,
		Test: p.test, Package: pkg, Again: rerun(p.test, p.again),
		Start: show.Text(p.history.Start), Events: len(p.history.events()),
	}
	for i, s := range p.history.Steps {
		st := pageStep{
			Number: i + 1, Command: show.Text(s.Command), Kind: show.Kind(s.Command), After: show.Text(s.After),
			Rejected: s.Err != nil, Nothing: s.Err == nil && len(s.Events) == 0,
			Here: i == p.breach.step,
		}
		for _, e := range s.Events {
			st.Events = append(st.Events, show.Text(e))
		}
		if s.Err != nil {
			st.Rejection = s.Err.Error()
		}
		st.Changes = show.TreeChanges(show.Tree(s.Before), show.Tree(s.After))
		v.Steps = append(v.Steps, st)
	}
	if p.law.spec && 0 <= p.breach.step && p.breach.step < len(p.history.Steps) {
		v.Scenario = strings.Join(p.history.scenario(p.breach.step), "\n")
	}
	return template.Must(template.New("page").Parse(pageTemplate)).Execute(w, v)
}

// testedPackage returns the import path of the package whose test runs, or "" if it is
// not known.
func testedPackage() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return packageOf(info.Path)
}

// packageOf returns the import path of the package that the program at path tests, or ""
// if go test got files, or if it is no test.
func packageOf(path string) string {
	path, ok := strings.CutSuffix(path, ".test")
	if !ok || path == "command-line-arguments" {
		return ""
	}
	return path
}

// pageTemplate looks like the pages of decider/console. A test keeps the colors equal.
const pageTemplate = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Law}}</title>
<style>
:root {
	color-scheme: light dark;
	--bg: light-dark(#faf9f7, #14161a); --card: light-dark(#fff, #1b1e23); --soft: light-dark(#f1efea, #22262c); --line: light-dark(#e4e2dd, #2b3037);
	--text: light-dark(#1c1f24, #e3e6ea); --quiet: light-dark(#5b626d, #9aa3af); --link: light-dark(#1f5a9e, #8fb8f0);
	--good: light-dark(#1c6e42, #74c99a); --bad: light-dark(#a8322a, #f19a90);
	--mark: light-dark(#e7f0fb, #23344b); --was: light-dark(#fbe9e7, #44221f); --is: light-dark(#e4f3ea, #1c3a2a);
	--mono: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
* { box-sizing: border-box; }
body { background: var(--bg); color: var(--text); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; margin: 0; }
main { margin: 0 auto; max-width: 76rem; padding: 1.6rem 1.5rem 2rem; }
h1 { font-size: 1.35rem; font-weight: 650; letter-spacing: -.01em; line-height: 1.3; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: .95rem; font-weight: 650; margin: 1.6rem 0 .6rem; } h2 span { color: var(--quiet); font-weight: 400; }
code, pre { font-family: var(--mono); font-size: .86em; }
pre { background: var(--soft); border-radius: 6px; margin: 0 0 .6rem; overflow-wrap: anywhere; padding: .7rem .9rem; white-space: pre-wrap; tab-size: 4; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0 0 1rem; padding: 1rem 1.2rem; }
.facts { display: grid; gap: .3rem 1.2rem; grid-template-columns: max-content minmax(0, 1fr); margin: 0; } .facts dt { color: var(--quiet); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.strip { display: flex; flex-wrap: wrap; gap: .4rem; list-style: none; margin: 0 0 1rem; padding: 0; }
.strip a { background: var(--card); border: 1px solid var(--line); border-bottom: 3px solid var(--good); border-radius: 6px; color: inherit; display: block; padding: .1rem .6rem; text-decoration: none; }
.strip .rejected a, .strip .nothing a { border-bottom-color: var(--quiet); } .strip .here a { border-color: var(--bad); }
.strip a:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.time { list-style: none; margin: 0; padding: 0; } .time > li { border-left: 4px solid var(--good); }
.time > .start { border-left-color: var(--line); } .time > .rejected, .time > .nothing { border-left-color: var(--quiet); } .time > .here { border-left-color: var(--bad); outline: 1px solid var(--bad); }
.time > :target { background: var(--mark); }
.no { color: var(--bad); } .quiet, .k { color: var(--quiet); }
del, ins { border-radius: 4px; padding: 0 .35em; text-decoration: none; } del { background: var(--was); text-decoration: line-through; text-decoration-color: var(--bad); } ins { background: var(--is); font-weight: 600; }
.legend { color: var(--quiet); font-size: .86rem; } .legend b { border-left: 4px solid var(--good); font-weight: 400; margin-right: 1rem; padding-left: .4rem; } .legend .q { border-color: var(--quiet); } .legend .b { border-color: var(--bad); }
</style>
<main>
<h1>{{.Where}}</h1>
<section class="card">
<pre>{{.Breach}}</pre>
<dl class="facts">
<dt>law</dt><dd>{{.Law}}</dd>
<dt>test</dt><dd><code>{{.Test}}</code></dd>
{{- if .Package}}
<dt>package</dt><dd><code>{{.Package}}</code></dd>
{{- end}}
<dt>run it again</dt><dd><code>{{.Again}}</code></dd>
</dl>
</section>
<h2>Timeline <span>{{len .Steps}} commands, {{.Events}} events</span></h2>
<p class="legend"><b>accepted</b><b class="q">rejected, or nothing to do</b><b class="b">the law is broken here</b><del>before</del> <ins>after</ins></p>
<ul class="strip">
{{- range .Steps}}
<li class="{{if .Rejected}}rejected{{else if .Nothing}}nothing{{end}}{{if .Here}} here{{end}}"><a href="#{{.Number}}">{{.Number}} {{.Kind}}</a></li>
{{- end}}
</ul>
<ol class="time">
<li class="card start"><dl class="facts"><dt>start</dt><dd><code>{{.Start}}</code></dd></dl></li>
{{- range .Steps}}
<li id="{{.Number}}" class="card {{if .Rejected}}rejected{{else if .Nothing}}nothing{{end}}{{if .Here}} here{{end}}"><dl class="facts">
<dt>{{.Number}} command</dt><dd><code><b>{{.Command}}</b></code>{{if .Here}} <span class="no">← here</span>{{end}}</dd>
{{- range .Events}}
<dt>event</dt><dd><code>{{.}}</code></dd>
{{- end}}
{{- if .Rejected}}
<dt>rejected</dt><dd class="no">{{.Rejection}}</dd>
{{- else if .Nothing}}
<dt>decided</dt><dd>nothing</dd>
{{- end}}
{{- range .Changes}}
<dt>change</dt><dd><code><span class="k">{{.Path}}</span> {{if .From}}<del>{{.From}}</del>{{else}}<span class="quiet">new</span>{{end}} → {{if .To}}<ins>{{.To}}</ins>{{else}}<span class="quiet">gone</span>{{end}}</code></dd>
{{- end}}
<dt>state</dt><dd><code>{{.After}}</code></dd>
</dl></li>
{{- end}}
</ol>
{{- if .Scenario}}
<h2>As a scenario</h2>
<pre>{{.Scenario}}</pre>
{{- end}}
</main>
</html>
`
