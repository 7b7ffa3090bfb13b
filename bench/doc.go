// Package bench compares evolve with other libraries that do the same job. It has only
// tests and benchmarks. See README.md.
package bench
