// Command decidervet checks deciders.
package main

import (
	_ "golang.org/x/tools/go/analysis/analysistest"
	_ "golang.org/x/tools/go/analysis/unitchecker"
)

func main() {}
