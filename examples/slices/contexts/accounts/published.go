package accounts

import (
	"github.com/evolvego/evolve/decider/codec"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

// StreamType is the type of the streams that have the published events.
const StreamType = account.StreamType

// Published is an event that other contexts may react to: one of those below.
type Published any

// Opened is published.
type Opened = account.Opened

// PublishedCodec returns the codec that reads published events and skips all others of
// this context.
func PublishedCodec() codec.Codec[Published] {
	return codec.JSON(map[string]Published{
		"AccountOpened": Opened{},
	}).SkipUnknown()
}
