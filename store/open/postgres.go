package open

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/evolvego/evolve/store/postgres"
)

func openPostgres(ctx context.Context, a *address) (Backend, error) {
	var options []postgres.Option
	if schema := a.take("schema", ""); schema != "" {
		options = append(options, postgres.WithSchema(schema))
	}
	if poll := a.take("poll", ""); poll != "" {
		every, err := time.ParseDuration(poll)
		if err != nil || every <= 0 {
			return nil, fmt.Errorf("%w: poll is a duration such as 500ms, not %q", ErrURL, poll)
		}
		options = append(options, postgres.WithPollOnly(every))
	}
	perTenant, err := strconv.ParseBool(a.take("log-per-tenant", "false"))
	if err != nil {
		return nil, fmt.Errorf("%w: log-per-tenant is true or false", ErrURL)
	}
	if perTenant {
		options = append(options, postgres.WithLogPerTenant())
	}
	url := "postgres:" + a.rest
	if len(a.settings) > 0 {
		url += "?" + a.settings.Encode()
	}
	st, err := postgres.Open(ctx, url, options...)
	if err != nil {
		return nil, err // not st, which is a nil that would not look like one
	}
	return st, nil
}
