package open

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/evolvego/evolve/store"
)

// address is a parsed URL.
type address struct {
	scheme   string
	rest     string // between the scheme and the settings
	tenant   string
	readOnly bool
	settings []setting // the settings that have not been taken yet
}

// setting is a part of the query of a URL.
type setting struct{ name, value, raw string }

// settingName matches names of settings. Anything else may be part of a password with a
// ? or & in it.
var settingName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*$`)

// parse parses rawURL. Its errors reveal nothing that may be secret.
func parse(rawURL string) (*address, error) {
	scheme, rest, found := strings.Cut(rawURL, ":")
	if _, known := drivers()[scheme]; !found || !known {
		return nil, fmt.Errorf("begin it with one of %s", schemes())
	}
	a := &address{scheme: scheme}
	var query string
	a.rest, query, _ = strings.Cut(rest, "?")
	for raw := range strings.SplitSeq(query, "&") {
		if raw == "" {
			continue
		}
		s, err := parseSetting(raw)
		if err != nil {
			return nil, err
		}
		a.settings = append(a.settings, s)
	}
	var err error
	if a.tenant, err = a.take("tenant", store.DefaultTenant); err != nil {
		return nil, err
	}
	if err := store.ValidateTenant(a.tenant); err != nil {
		return nil, err
	}
	return a, nil
}

// hasUser reports whether a URL with the scheme may have a user and a password.
func hasUser(scheme string) bool {
	return scheme == "postgres" || scheme == "postgresql" || scheme == "nats"
}

const errEscape = mistake("invalid URL escape: percent-encode special characters, such as % as %25")

func parseSetting(raw string) (setting, error) {
	name, value, found := strings.Cut(raw, "=")
	name, err1 := url.PathUnescape(name)
	value, err2 := url.PathUnescape(value)
	switch {
	case err1 != nil || err2 != nil:
		return setting{}, errEscape
	case !found || !settingName.MatchString(name):
		return setting{}, errors.New("after ? come settings, NAME=VALUE, separated by &: percent-encode special characters, such as & as %26")
	}
	return setting{name, value, raw}, nil
}

// take returns the value of the setting called name, or otherwise if it is not set, and
// marks it as known.
func (a *address) take(name, otherwise string) (string, error) {
	is := func(s setting) bool { return s.name == name }
	i := slices.IndexFunc(a.settings, is)
	if i < 0 {
		return otherwise, nil
	}
	value := a.settings[i].value
	a.settings = slices.Delete(a.settings, i, i+1)
	if slices.ContainsFunc(a.settings, is) {
		return "", mistakef("%s is given twice", name)
	}
	return value, nil
}

// takeAll is take for several settings, with "" for those that are not set.
func (a *address) takeAll(names ...string) ([]string, error) {
	values := make([]string, len(names))
	for i, name := range names {
		var err error
		if values[i], err = a.take(name, ""); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// unknown returns an error if there are settings that were not taken.
func (a *address) unknown() error {
	if len(a.settings) == 0 {
		return nil
	}
	names := make([]string, len(a.settings))
	for i, s := range a.settings {
		names[i] = s.name
	}
	slices.Sort(names)
	return mistakef("unknown setting %s", strings.Join(names, ", "))
}

// hosts matches what comes before the path of a URL: HOST:PORT, several separated by
// commas, where each part is optional.
const (
	host  = `(?:\[[0-9A-Fa-f:.]+\]|[\w.%~-]*)(?::\d*)?`
	hosts = host + `(?:,` + host + `)*`
)

// onHosts matches the rest of a URL of a server after its scheme, if nothing in it
// could be part of a user's password.
var onHosts = regexp.MustCompile(`^//` + hosts + `(?:/[\w.%~-]*)?$`)

// redacted returns a without the parts that may be secret: the user and the settings.
func (a *address) redacted() string {
	if a.scheme == "sqlite" && !strings.HasPrefix(a.rest, "//") {
		return a.scheme + ":" + a.rest
	}
	rest := a.rest
	if hasUser(a.scheme) {
		rest = withoutUser(rest)
	}
	if rest != "" && !onHosts.MatchString(rest) && (a.scheme != "sqlite" || strings.Contains(rest, "@")) {
		rest = "…"
	}
	return a.scheme + ":" + rest
}

// plainName matches a text that certainly has no secret in it.
var plainName = regexp.MustCompile(`^[\w./\\-]{1,200}$`)

// Redacted returns the URL of a store in a form that can be shown: without the user,
// the password and the settings. For a text that is not such a URL, it returns little
// more than the scheme.
func Redacted(rawURL string) string {
	if a, err := parse(rawURL); err == nil {
		return a.redacted()
	}
	if plainName.MatchString(rawURL) {
		return `"` + rawURL + `"`
	}
	scheme, _, found := strings.Cut(rawURL, ":")
	if found && settingName.MatchString(scheme) && len(scheme) < 20 {
		return scheme + ":…"
	}
	return "…"
}
