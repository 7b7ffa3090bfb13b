package logged_test

import (
	"fmt"
	"log/slog"

	"github.com/evolvego/evolve/decider/internal/logged"
)

func Example() {
	var lines logged.Lines
	log := slog.New(&lines)
	log.Warn("run failed", "projection", "told@1")
	log.Debug("run failed", "projection", "quiet@1")
	fmt.Println(lines.About("told@1"))
	// Output: [WARN run failed projection=told@1]
}
