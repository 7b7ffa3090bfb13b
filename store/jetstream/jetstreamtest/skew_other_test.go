//go:build !(linux && amd64)

package jetstreamtest_test

import "time"

const canSetClock = false

func setClock(time.Duration) {}
