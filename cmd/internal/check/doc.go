// Package check has the analyzers of decidervet. Each says in its Doc what it
// finds, and what it does not.
package check
