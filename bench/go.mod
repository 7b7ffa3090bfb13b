module github.com/evolvego/evolve/bench

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/evolvego/evolve v0.0.0
)

require (
	github.com/samber/lo v1.46.0 // indirect
	golang.org/x/text v0.32.0 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)
