module github.com/evolvego/evolve

go 1.25.0

require (
	google.golang.org/protobuf v1.33.0
	pgregory.net/rapid v1.2.0
)
