package projection

import (
	"encoding/json"
	"net/http"
	"time"
)

// stuckAfter is how long a projection may make no progress while events wait.
const stuckAfter = time.Minute

// Health says whether a projection is healthy in this process, as data for JSON.
type Health struct {
	Build    string  `json:"build"`
	State    State   `json:"state"`
	Position uint64  `json:"position"`
	Head     uint64  `json:"head"`
	Lag      float64 `json:"lag_seconds"`
	Parked   int     `json:"parked"`
	Ready    bool    `json:"ready"`
	// Healthy is false if the projection has failed, if the oldest event that it has not
	// handled is older than its limit ([Projection.WithLagLimit]), or if it has made no
	// progress for a minute while events waited. Being behind is healthy, and so is
	// standing by.
	Healthy bool `json:"healthy"`
	// Reason says why it is not healthy.
	Reason string `json:"reason,omitempty"`
	// Cause is the error that is being retried, or that Run has ended with.
	Cause string `json:"cause,omitempty"`
}

// Health returns whether p is healthy, as far as this process knows.
func (p *Projection[T, E]) Health() Health {
	is := p.Progress()
	h := Health{
		Build: is.Build, State: is.State, Position: is.Position, Head: is.Head, Lag: is.Lag.Seconds(),
		Parked: is.Parked, Ready: is.Ready,
	}
	if is.Cause != nil {
		h.Cause = is.Cause.Error()
	}
	standing := p.now().Sub(latest(is.Moved, is.Since))
	switch {
	case is.State == Failed:
		h.Reason = "Run has ended with an error"
	case p.lagLimit > 0 && is.Lag > p.lagLimit:
		h.Reason = "events wait longer than " + p.lagLimit.String()
	case is.State == Retrying && standing > stuckAfter, is.Lag > stuckAfter && standing > stuckAfter:
		h.Reason = "it has stood still for " + standing.Round(time.Second).String()
	}
	h.Healthy = h.Reason == ""
	return h
}

// latest returns the later of two times. Since is when the trouble began.
func latest(moved, since time.Time) time.Time {
	if since.After(moved) {
		return since
	}
	return moved
}

// HealthHandler returns a handler that reports the health of projections as a JSON array.
// The status is 200 if all of them are healthy, and 503 otherwise. It is safe for
// concurrent use.
func HealthHandler(projections ...interface{ Health() Health }) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		all := make([]Health, len(projections))
		status := http.StatusOK
		for i, p := range projections {
			if all[i] = p.Health(); !all[i].Healthy {
				status = http.StatusServiceUnavailable
			}
		}
		data, err := json.Marshal(all)
		if err != nil {
			status, data = http.StatusInternalServerError, nil
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(data)
	})
}
