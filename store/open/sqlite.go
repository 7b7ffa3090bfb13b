package open

import (
	"context"
	"net/url"
	"strings"

	"github.com/evolvego/evolve/store/sqlite"
)

func openSQLite(_ context.Context, a *address) (Backend, error) {
	path, err := url.PathUnescape(a.rest)
	if err != nil {
		return nil, errEscape
	}
	if host, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(host, "/") {
			return nil, mistake("a file is not on a host: use sqlite:FILE, without //")
		}
		path = host
	}
	if path == "" {
		return nil, mistake("the name of the file is missing")
	}
	sync, err := a.take("sync", "full")
	if err != nil {
		return nil, err
	}
	var options []sqlite.Option
	switch sync {
	case "full":
	case "normal":
		options = append(options, sqlite.WithNormalSync())
	default:
		return nil, mistakef("sync must be full or normal, not %q", sync)
	}
	if err := a.unknown(); err != nil {
		return nil, err
	}
	openFile := sqlite.Open
	if a.readOnly {
		openFile = sqlite.OpenReadOnly
	}
	st, err := openFile(path, options...)
	if err != nil {
		return nil, err // not st, which would be a non-nil interface that holds nil
	}
	return st, nil
}
