// Package projectiontest checks that projections keep their promises. [Run] is the suite
// for a target: a target for another database must pass it. [Fold] checks a projection of
// your own: with random batches, crashes and owners, its read model must be the same as
// when nothing goes wrong.
package projectiontest
