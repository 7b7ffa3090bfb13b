module github.com/evolvego/evolve/examples

go 1.25.0

require (
	github.com/evolvego/evolve v0.0.0
	pgregory.net/rapid v1.2.0
)

require google.golang.org/protobuf v1.33.0 // indirect
