// Package check has the analyzers of decidervet. The Doc of each says what it finds and
// what it does not.
package check
