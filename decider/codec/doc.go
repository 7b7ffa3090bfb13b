// Package codec converts the events of an aggregate into what a store keeps, and back.
// Names are explicit, so that you can rename a type and cannot confuse two types. The
// compiler checks that each sample is an event of the aggregate:
//
//	var Codec = codec.JSON(map[string]Event{
//		"AccountOpened":   Opened{},
//		"AccountCredited": Credited{},
//	})
//
// # Schema versions
//
// Recorded events are never rewritten. When the shape of an event changes, keep its old
// shape as a type of its own, and add an upcaster that says what the old shape means
// today. The event's schema version is then one higher:
//
//	codec.JSON(map[string]Event{"AccountOpened": Opened{}},
//		codec.Up("AccountOpened", 1, func(o OpenedV1) Opened { … }))
//
// [Up] makes one event of an old one, [UpMany] several, and [Drop] none. A step may lead
// to the next old shape or to an event of today. The codec checks when it is made that
// every step leads on. Old names and shapes are never written.
//
// The log may have events under a name that the map does not have any more, because the
// event was renamed or removed. Mark the upcasters of such a name with
// [Upcaster.Retired]. Without the mark, JSON and Proto panic, because the name is most
// likely misspelt.
package codec
