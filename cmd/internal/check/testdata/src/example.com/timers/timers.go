package timers

import (
	"github.com/evolvego/evolve/decider/codec"
	"github.com/evolvego/evolve/decider/process"
)

// Input is sealed. Lent and Back are events of others; Due is a timer.
type Input interface{ isInput() }

type (
	Lent struct{}
	Back struct{}
	Due  struct{}
)

func (Lent) isInput() {}
func (Back) isInput() {}
func (Due) isInput()  {}

func timers() *codec.Named[Input] { return codec.JSON(map[string]Input{"Due": Due{}}) }

var kept = codec.JSON(map[string]Input{"Due": Due{}})

func both() *codec.Named[Input] { return codec.JSON(map[string]Input{"Due": Due{}}) } // want `the codec does not have all of Input: Back, Lent`

func Processes(r *process.Runtime[Input, int]) *codec.Named[Input] {
	r.WithTimers(codec.JSON(map[string]Input{"Due": Due{}}))
	r.WithTimers(timers())
	r.WithTimers(kept)
	local := codec.JSON(map[string]Input{"Due": Due{}})
	r.WithTimers(local)
	r.WithTimers(both())
	r.WithTimers(codec.JSON(map[string]Input{
		"Due":  Due{},
		"Due2": Due{}, // want `Due has two names, "Due" and "Due2": codec.JSON panics`
	}))
	return both()
}
