module github.com/evolvego/evolve/examples

go 1.25.0

require github.com/evolvego/evolve v0.0.0
