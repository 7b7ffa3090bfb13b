// Command decidervet finds mistakes in deciders, views and processes that compile, and
// that tests of single decisions do not find. It runs under go vet, which checks only
// what has changed, or by itself, where it can also fix what it finds:
//
//	go install github.com/evolvego/evolve/cmd/decidervet@latest
//	go vet -vettool=$(which decidervet) ./...
//	decidervet -fix ./...
//
// It examines the functions passed to decider.New, Of, Union, Focus and the others of
// that package, or to codec.Up and UpMany, and those set in a Decider, View or Process.
// A function may be a literal, a name, a method, a variable, or the result of a
// function of the same package. It also finds functions that only a test of the package
// passes, but it reports nothing in test files, and nothing in packages that import
// testing.
//
// # Checks
//
//	impure      a function uses a clock, a random source, a file, a connection, a log, a
//	            goroutine, a channel or a lock; writes a package variable, or reads one
//	            that changes or that other packages can change; or writes a variable
//	            around a function literal. This includes the functions that it calls, in
//	            other packages too; but locks, logs, goroutines and package variables of
//	            other modules are ignored
//	mutate      a function changes the command, the state, the event or the receiver: it
//	            writes an element or a field through a map, a slice or a pointer; deletes,
//	            clears, copies or sorts; or appends to a slice that may have spare
//	            capacity. This includes the functions of the package that it calls
//	sealed      the events of a Decider are an interface that any package can
//	            implement; or the map passed to codec.JSON or codec.Proto lacks a type of
//	            a sealed interface, or has a type twice, a nil or an empty name. A codec
//	            that the package uses only in process.Runtime.WithTimers may lack types
//	exhaustive  a type switch over a sealed interface in Decide or Evolve of a
//	            Decider, or in a function that they call, lacks a case. In Evolve any
//	            default is accepted; in Decide it must be an error or a panic, there or in
//	            the return that follows the switch
//	ignore      a directive has no reason
//
// A flag disables one check (-sealed=false), or runs only one (-mutate).
//
// # What it does not find
//
// Decidervet does not follow calls through function values, fields and interfaces,
// except for sealed interfaces of the package: there it examines each method that the
// call may reach. It does not check the order in which code ranges over a map. It
// assumes that functions of other packages change nothing and return new memory, except
// for those of the standard packages slices, maps and sort that do otherwise; the same
// holds for generated getters. It follows a method called on a shared value if the
// method is in the package. It examines a codec only if its map is a literal in the
// call.
//
// # Fixes
//
//	mutate      maps.Clone or slices.Clone before the write, slices.Clip in append
//	sealed      the missing events, named after their types: check the names before
//	            anything is recorded under them
//	exhaustive  the missing cases, each of which panics until you write it
//
// # Exceptions
//
// A comment suppresses findings on its line, or on the next line if it stands alone. It
// needs a reason:
//
//	all[key] = value //decidervet:ignore this view is folded once and thrown away
//
// If the code itself is excused, so are all its callers.
package main
