package capability

//go:generate go test -run TestSetsAreGenerated -update
