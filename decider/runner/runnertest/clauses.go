package runnertest

// clause is one demand on a runner.
type clause struct {
	name  string
	check func(t *trial)
}

func clauses() []clause {
	return []clause{
		{"a stream is created once", createdOnce},
		{"a conflict is decided again on the fresh state", decidedAgain},
		{"a conflict loses no write", conflictLosesNothing},
		{"a conflict reads the tail only", tailOnly},
		{"everybody gets through", everybodyGetsThrough},
		{"attempts are bounded", attemptsBounded},
		{"attempts are those of the call", attemptsOwn},
		{"the second attempt is at once and the next ones wait", backOff},
		{"an expected version is not tried again", expectedOnce},
		{"an expected version is the one that is decided on", expectedVersion},
		{"a rejection is final", rejectionIsFinal},
		{"without events nothing is appended", noEventsNoAppend},
		{"what cannot be encoded is not appended", notEncoded},
		{"a read that fails appends nothing", readFails},
		{"a read that fails is no empty aggregate", loadFails},
		{"a stream of many pages is loaded whole", manyPages},
		{"the work of others is seen", othersAreSeen},
		{"a snapshot beyond the stream is not believed", snapshotBeyond},
		{"a command id lands once", commandIDLandsOnce},
		{"a command id lands once where it would be rejected now", commandIDNowRejected},
		{"a command id lands once where it would decide otherwise now", commandIDNowDifferent},
		{"a command id belongs to its stream", commandIDOfStream},
		{"command ids are compared to the byte", commandIDToTheByte},
		{"calls without a command id are different commands", withoutCommandID},
		{"a lost answer is found out", lostAnswer},
		{"a lost answer is found out although it would be rejected now", lostAnswerNowRejected},
		{"what did not happen is done again", downOnce},
		{"a store that stays down is an error", staysDown},
		{"a late append counts once", lateOnce},
		{"a late append does not follow a rejection", lateAfterRejection},
		{"the end of the context ends the call", contextEnds},
		{"the end of the context ends a pause", contextEndsPause},
		{"a call that was given up harms no other", givenUp},
		{"what a caller gets is its own", callerOwns},
		{"what callers get at once is their own", callersOwn},
		{"a panic of a user's function costs one call", panicsOnce},
		{"an event that cannot be read is not recorded", poisonous},
	}
}
