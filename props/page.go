package props

import (
	"html/template"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/evolvego/evolve/internal/show"
)

// artifacts names the variable with the folder of the pages.
const artifacts = "EVOLVE_ARTIFACTS"

// publish writes the page of p, and returns a line with its path. It is a file of
// its own for each failure, and stays when the test is over.
func (p *report[C, S, E]) publish(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(artifacts)
	if dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil { //nolint:gosec // the folder that the user names
			return "\n\tpage: " + err.Error()
		}
	}
	// not t.TempDir, which goes with the test
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

// page is what the template shows.
type page struct {
	Law, Where, Breach string
	Start              string
	Steps              []pageStep
	Scenario           string
	Events             int
}

type pageStep struct {
	Number                            int
	Command, Kind, After              string
	Events, Changes                   []string
	Rejection                         string
	Accepted, Rejected, Nothing, Here bool
}

func (p *report[C, S, E]) write(w io.Writer) error {
	v := page{
		Law: p.law.name, Where: headline(p.law.name, p.breach.step), Breach: p.breach.text,
		Start: show.Text(p.history.Start), Events: len(p.history.events()),
	}
	for i, s := range p.history.Steps {
		st := pageStep{
			Number: i + 1, Command: show.Text(s.Command), Kind: show.Kind(s.Command), After: show.Text(s.After),
			Accepted: s.Err == nil && len(s.Events) > 0, Rejected: s.Err != nil, Nothing: s.Err == nil && len(s.Events) == 0,
			Here: i == p.breach.step,
		}
		for _, e := range s.Events {
			st.Events = append(st.Events, show.Text(e))
		}
		if s.Err != nil {
			st.Rejection = s.Err.Error()
		}
		st.Changes = show.Differences(s.Before, s.After)
		v.Steps = append(v.Steps, st)
	}
	if p.law.spec && 0 <= p.breach.step && p.breach.step < len(p.history.Steps) {
		v.Scenario = strings.Join(p.history.scenario(p.breach.step), "\n")
	}
	return template.Must(template.New("page").Parse(pageTemplate)).Execute(w, v)
}

const pageTemplate = `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Law}}</title>
<style>
:root { color-scheme: light dark; --line: #8886; --bad: #c33; --good: #283; --quiet: #888; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
pre, code { font: 13px/1.5 ui-monospace, monospace; }
pre { border: 1px solid var(--line); border-radius: 4px; overflow-x: auto; padding: .6rem .8rem; white-space: pre-wrap; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.strip { display: flex; flex-wrap: wrap; gap: 4px; list-style: none; padding: 0; }
.strip a { border: 1px solid var(--line); border-bottom: 3px solid var(--good); border-radius: 4px; color: inherit; padding: 0 .5rem; text-decoration: none; }
.strip .rejected a { border-bottom-color: var(--quiet); } .strip .here a { border-color: var(--bad); }
ol.time { border-left: 2px solid var(--line); list-style: none; padding-left: 1.2rem; }
ol.time > li { margin: 1.2rem 0; position: relative; }
ol.time > li::before { background: var(--good); border-radius: 50%; content: ""; height: .7rem; left: -1.62rem; position: absolute; top: .4rem; width: .7rem; }
ol.time > li.rejected::before, ol.time > li.nothing::before { background: var(--quiet); }
ol.time > li.here::before { background: var(--bad); outline: 3px solid #c335; }
dl { display: grid; gap: 0 1rem; grid-template-columns: max-content 1fr; margin: 0; } dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
mark { background: #fc45; color: inherit; } .no { color: var(--bad); }
</style>
<h1>{{.Where}}</h1>
<pre>{{.Breach}}</pre>
<h2>Timeline: {{len .Steps}} commands, {{.Events}} events</h2>
<ul class="strip">
{{- range .Steps}}
<li class="{{if .Rejected}}rejected{{end}}{{if .Here}} here{{end}}"><a href="#{{.Number}}">{{.Number}} {{.Kind}}</a></li>
{{- end}}
</ul>
<ol class="time">
<li><dl><dt>start</dt><dd><code>{{.Start}}</code></dd></dl></li>
{{- range .Steps}}
<li id="{{.Number}}" class="{{if .Rejected}}rejected{{else if .Nothing}}nothing{{end}}{{if .Here}} here{{end}}"><dl>
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
<dt>change</dt><dd><code><mark>{{.}}</mark></code></dd>
{{- end}}
<dt>state</dt><dd><code>{{.After}}</code></dd>
</dl></li>
{{- end}}
</ol>
{{- if .Scenario}}
<h2>As a scenario</h2>
<pre>{{.Scenario}}</pre>
{{- end}}
</html>
`
