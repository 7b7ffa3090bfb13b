package accounts

import (
	"github.com/evolvego/evolve/decider/codec"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts/internal/account"
)

// StreamType is the type of the streams with the published events.
const StreamType = account.StreamType

// Published is an event that other contexts may react to: one of those below.
type Published any

// Opened is a published event.
type Opened = account.Opened

// PublishedCodec returns a codec that reads the published events and skips all other
// events of this context.
func PublishedCodec() codec.Codec[Published] {
	return codec.JSON(map[string]Published{
		"AccountOpened": Opened{},
	}).SkipUnknown()
}
