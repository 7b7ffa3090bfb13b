// Package bench compares evolve with others who do the same job: it has tests and
// benchmarks only. See README.md.
package bench
