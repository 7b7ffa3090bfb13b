// Command decidervet finds mistakes in deciders, views and processes that compile,
// and that tests of single decisions do not see. It runs under go vet, on what
// changed only, or by itself, where it can also repair what it finds:
//
//	go install github.com/evolvego/evolve/cmd/decidervet@latest
//	go vet -vettool=$(which decidervet) ./...
//	decidervet -fix ./...
//
// It looks at the functions that are given to decider.New, Of, Union, Focus and the
// others of that package, or to codec.Up and UpMany, and at those set in a Decider,
// View or Process. A function may be a literal, a name, a method, a variable, or
// what a function of the same package returns. A test of the package may be where they
// are given; but of what is in test files, and in packages that import testing, nothing
// is said.
//
// # Checks
//
//	impure      a clock, a random source, a file, a connection, a log, a goroutine, a
//	            channel or a lock is used; a package variable is written, or read
//	            though it changes or can be changed from outside; a variable around a
//	            function literal is written. Also by what is called, in other
//	            packages too; a lock, a log, a goroutine or a package variable of
//	            another module is that module's own affair
//	mutate      the command, the state, the event or the receiver is changed: an
//	            element or a field written through a map, a slice or a pointer;
//	            delete, clear, copy, sorting; append to a slice that may have room.
//	            Also by functions of the package that are called
//	sealed      the events of a Decider are an interface that any package can
//	            implement; the map given to codec.JSON or codec.Proto lacks a type of
//	            a sealed interface, or has one twice, a nil or an empty name
//	exhaustive  a type switch over a sealed interface in Decide or Evolve of a
//	            Decider, or in what they call, lacks a case. In Evolve any default
//	            will do; in Decide it must be an error or a panic, there or in the
//	            return that follows the switch
//	ignore      a directive does not say why it is there
//
// A flag turns one off (-sealed=false), or on alone (-mutate).
//
// # What is not found
//
// Calls through function values, fields and interfaces are not followed, but for
// sealed interfaces of the package: there each method that the call may reach is looked
// at. The order
// in which a map is ranged over is taken for the author's business. A function of
// another package is taken to change nothing and to return new memory, unless the
// standard packages slices, maps and sort say otherwise; so is what a generated
// getter returns. A method called on a value that is shared is followed if it is
// in the package. A codec is looked at where its map is written out in the call.
//
// # Fixes
//
//	mutate      maps.Clone or slices.Clone before the write, slices.Clip in append
//	sealed      the missing events, named after their types: look at the names before
//	            anything is recorded under them
//	exhaustive  the missing cases, each of which panics until it is written
//
// # Exceptions
//
// A comment excuses its line, or the next one if it is alone on its own. It needs a
// reason:
//
//	all[key] = value //decidervet:ignore this view is folded once and thrown away
//
// What is excused where it happens is excused for all who call it.
package main
