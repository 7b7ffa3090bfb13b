// Package projection keeps read models up to date with a log: it follows the log,
// and writes what you make of the events into a target, together with the position up
// to which it has come. So each event is in the read model exactly once, whatever
// crashes, restarts or runs twice.
package projection
