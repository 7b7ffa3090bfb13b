package schedule

import (
	"testing"
)

// ExploreEvery is Explore without skipping any schedule.
func ExploreEvery(t *testing.T, limits Limits, scene func(s *Sim)) (int, error) {
	t.Helper()
	limits.every = true
	return Explore(t, limits, scene)
}
