// Package codec turns the events of an aggregate into what a store keeps, and
// back. Names are explicit, so that a type can be renamed and two types cannot
// be confused; that each sample is an event of the aggregate, the compiler checks:
//
//	var Codec = codec.JSON(map[string]Event{
//		"AccountOpened":   Opened{},
//		"AccountCredited": Credited{},
//	})
//
// # Schema versions
//
// What was recorded is never rewritten. When the shape of an event changes, its
// old shape stays behind as a type of its own, and an upcaster says what it means
// today; the event's schema version is then one higher:
//
//	codec.JSON(map[string]Event{"AccountOpened": Opened{}},
//		codec.Up("AccountOpened", 1, func(o OpenedV1) Opened { … }))
//
// [Up] makes one event of an old one, [UpMany] several, [Drop] none. A step may
// lead to the next old shape or to an event of today; that every step finds the
// next is checked when the codec is made. An upcaster that is [Upcaster.Retired] reads
// what was recorded under a name that no event has any more; under another name that
// no event has it is refused, because it is most likely misspelt. Old names and
// shapes are never written.
package codec
