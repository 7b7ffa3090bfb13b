// Package check contains the analyzers of decidervet. The Doc of each analyzer says
// what it finds and what it does not.
package check
