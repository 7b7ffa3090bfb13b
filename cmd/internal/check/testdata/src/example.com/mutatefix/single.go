package mutatefix

import "strings"

func single(s State, e Event) State {
	s.Items[0] = strings.ToUpper(e.ID) // want `writes to s.Items`
	return s
}
