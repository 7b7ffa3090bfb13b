package main

import (
	"golang.org/x/tools/go/analysis/multichecker"

	"github.com/evolvego/evolve/cmd/internal/check"
)

func main() {
	multichecker.Main(check.Impure, check.Mutate, check.Sealed, check.Exhaustive, check.Ignore)
}
