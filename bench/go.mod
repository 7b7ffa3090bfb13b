module github.com/evolvego/evolve/bench

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/evolvego/evolve v0.0.0
)

require pgregory.net/rapid v1.3.0 // indirect
