package props

import "testing"

func (p *report[C, S, E]) publish(t *testing.T) string { return "" }
