package foreign

type Event interface{ isEvent() }

type (
	Opened struct{}
	Closed struct{}
	hidden struct{}
)

func (Opened) isEvent() {}
func (Closed) isEvent() {}
func (hidden) isEvent() {}

type Open interface{ IsEvent() }
