package schedule

import (
	"testing"
)

// ExploreEvery is Explore, which leaves nothing out.
func ExploreEvery(t *testing.T, limits Limits, scene func(s *Sim)) (int, error) {
	t.Helper()
	limits.every = true
	return Explore(t, limits, scene)
}
