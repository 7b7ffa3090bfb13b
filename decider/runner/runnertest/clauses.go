package runnertest

// clause is one requirement on a runner.
type clause struct {
	name  string
	check func(t *trial)
}

func clauses() []clause {
	return []clause{
		{"a stream is created once", createdOnce},
		{"after a conflict the command is decided again on the fresh state", decidedAgain},
		{"a conflict loses no write", conflictLosesNothing},
		{"a conflict reads only the tail", tailOnly},
		{"every client succeeds", everybodyGetsThrough},
		{"attempts are bounded", attemptsBounded},
		{"each call has its own attempts", attemptsOwn},
		{"the second attempt follows at once and later ones wait", backOff},
		{"a conflict with an expected version is final", expectedOnce},
		{"a command is decided only on the expected version", expectedVersion},
		{"a rejection is final", rejectionIsFinal},
		{"without events nothing is appended", noEventsNoAppend},
		{"an event that cannot be encoded is not appended", notEncoded},
		{"a read that fails appends nothing", readFails},
		{"a load that fails is not an empty aggregate", loadFails},
		{"a stream of many pages is loaded whole", manyPages},
		{"appends of others are seen", othersAreSeen},
		{"an old state refuses no command", oldRefusesNothing},
		{"a snapshot beyond the stream is ignored", snapshotBeyond},
		{"a command id is recorded once", commandIDLandsOnce},
		{"a command id is recorded once although it would be rejected now", commandIDNowRejected},
		{"a command id is recorded once although it would decide something else now", commandIDNowDifferent},
		{"a command id belongs to its stream", commandIDOfStream},
		{"command ids are compared byte by byte", commandIDToTheByte},
		{"calls without a command id are different commands", withoutCommandID},
		{"a lost answer is looked up", lostAnswer},
		{"a lost answer is looked up although the command would be rejected now", lostAnswerNowRejected},
		{"an append that did not happen is sent again", downOnce},
		{"a store that stays down is an error", staysDown},
		{"a late append counts once", lateOnce},
		{"a late append does not follow a rejection", lateAfterRejection},
		{"the end of the context ends the call", contextEnds},
		{"the end of the context ends a pause", contextEndsPause},
		{"an abandoned call harms no other", givenUp},
		{"a caller owns what it gets", callerOwns},
		{"callers of one batch share nothing", callersOwn},
		{"a panic in a user function fails one call", panicsOnce},
		{"an event that cannot be read is not recorded", poisonous},
		{"claims are taken with the events", claimsTaken},
		{"a command whose claims panic is not recorded", claimsPanic},
	}
}
