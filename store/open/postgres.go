package open

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/evolvego/evolve/store/postgres"
)

func openPostgres(ctx context.Context, a *address) (Backend, error) {
	if !onHosts.MatchString(withoutUser(a.rest)) {
		return nil, mistake("it is postgres://USER:PASSWORD@HOST:PORT/DATABASE: percent-encode special characters, such as / as %2F and @ as %40")
	}
	options, err := postgresOptions(a)
	if err != nil {
		return nil, err
	}
	url := a.scheme + ":" + a.rest
	if len(a.settings) > 0 { // unchanged: pgx decodes them
		raw := make([]string, len(a.settings))
		for i, s := range a.settings {
			raw[i] = s.raw
		}
		url += "?" + strings.Join(raw, "&")
	}
	if _, err := pgconn.ParseConfig(url); err != nil { // distinguishes a mistake in the URL from other errors
		return nil, err
	}
	st, err := postgres.Open(ctx, url, options...)
	if err != nil {
		return nil, err // not st, which would be a non-nil interface that holds nil
	}
	return st, nil
}

// withoutUser returns what follows the scheme without the user and the password, which
// end, as in libpq, at the first @ that is not after a slash.
func withoutUser(rest string) string {
	slashless, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return rest
	}
	if i := strings.IndexAny(slashless, "@/"); i >= 0 && slashless[i] == '@' {
		return "//" + slashless[i+1:]
	}
	return rest
}

// postgresOptions returns the options for our settings.
func postgresOptions(a *address) ([]postgres.Option, error) {
	values, err := a.takeAll("schema", "poll", "log-per-tenant")
	if err != nil {
		return nil, err
	}
	var options []postgres.Option
	if a.readOnly {
		options = append(options, postgres.WithoutMigrate())
	}
	if schema := values[0]; schema != "" {
		options = append(options, postgres.WithSchema(schema))
	}
	if poll := values[1]; poll != "" {
		every, err := time.ParseDuration(poll)
		if err != nil || every <= 0 {
			return nil, mistakef("poll must be a duration such as 500ms, not %q", poll)
		}
		options = append(options, postgres.WithPollOnly(every))
	}
	if perTenant := values[2]; perTenant != "" {
		yes, err := strconv.ParseBool(perTenant)
		if err != nil {
			return nil, mistakef("log-per-tenant must be true or false, not %q", perTenant)
		}
		if yes {
			options = append(options, postgres.WithLogPerTenant())
		}
	}
	return options, nil
}
