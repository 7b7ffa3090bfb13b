package store

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits that hold for every store. A store may have lower limits where it must; it
// returns an *InvalidError for what exceeds them.
const (
	MaxName      = 512       // bytes in a stream type or id, event id, type or content type, tenant or key
	MaxMetadata  = 64 << 10  // bytes in all metadata of an event
	MaxData      = 16 << 20  // bytes of data in an event
	MaxBatch     = 10_000    // events in an append
	MaxBatchData = 128 << 20 // bytes of data in an append
	MaxClaims    = 1_000     // claims in an append
)

// ValidateTenant returns an *InvalidError if id is not a valid tenant id: it must be 1
// to [MaxName] bytes of valid UTF-8 without NUL.
func ValidateTenant(id string) error {
	return validateName("tenant", id)
}

// Validate returns an *InvalidError if snap cannot be saved: its stream must be
// valid, its schema 1 to [MaxName] bytes of valid UTF-8 without NUL, and its
// version not 0.
func (snap Snapshot) Validate() error {
	if err := ValidateSnapshotKey(snap.Stream, snap.Schema); err != nil {
		return err
	}
	if snap.Version == 0 {
		return &InvalidError{"version", "is 0"}
	}
	return nil
}

// ValidateSnapshotKey returns an *InvalidError if no snapshot can have this stream
// and schema.
func ValidateSnapshotKey(s Stream, schema string) error {
	if err := s.Validate(); err != nil {
		return err
	}
	return validateName("schema", schema)
}

// ValidateConsumer returns an *InvalidError if name is not a valid name for a consumer
// with a checkpoint: it must be 1 to [MaxName] bytes of valid UTF-8 without NUL.
func ValidateConsumer(name string) error {
	return validateName("name", name)
}

// ValidateCheckpoint returns an *InvalidError if a consumer called name cannot move
// from from to to: to must be after from, equal to it, or zero.
func ValidateCheckpoint(name string, from, to Checkpoint) error {
	if err := ValidateConsumer(name); err != nil {
		return err
	}
	if to.Position <= from.Position && to != from && to != (Checkpoint{}) {
		return &InvalidError{"to", fmt.Sprintf("is position %d: it must be after %d, the same checkpoint, or zero",
			to.Position, from.Position)}
	}
	return nil
}

// ValidateListCheckpoints returns an *InvalidError if checkpoints cannot be listed with
// these arguments: from must be empty or the name of a consumer, and limit not negative.
func ValidateListCheckpoints(from string, limit int) error {
	if err := checkText("from", from, MaxName); err != nil {
		return err
	}
	return validateLimit(limit)
}

// ValidateClaims returns an *InvalidError if no append can make these claims: there may
// be at most [MaxClaims], with different keys that [ValidateKey] accepts. An empty
// claims is valid.
func ValidateClaims(claims []Claim) error {
	if len(claims) > MaxClaims {
		return &InvalidError{"claims", fmt.Sprintf("has %d claims, more than %d", len(claims), MaxClaims)}
	}
	seen := make(map[string]int, len(claims))
	for i, c := range claims {
		field := fmt.Sprintf("claims[%d].key", i)
		if err := checkName(field, c.Key); err != nil {
			return err
		}
		if first, ok := seen[c.Key]; ok {
			return &InvalidError{field, fmt.Sprintf("is the same as that of claims[%d]", first)}
		}
		seen[c.Key] = i
	}
	return nil
}

// ValidateKey returns an *InvalidError if key cannot be claimed: it must be 1 to
// [MaxName] bytes of valid UTF-8 without NUL.
func ValidateKey(key string) error {
	return validateName("key", key)
}

// ValidateLease returns an *InvalidError if no lease called name can be granted
// to owner for ttl: both must be 1 to [MaxName] bytes of valid UTF-8 without NUL,
// and ttl above 0.
func ValidateLease(name, owner string, ttl time.Duration) error {
	if err := ValidateLeaseOwner(name, owner); err != nil {
		return err
	}
	if ttl <= 0 {
		return &InvalidError{"ttl", fmt.Sprintf("is %v, not above 0", ttl)}
	}
	return nil
}

// ValidateLeaseOwner returns an *InvalidError if no lease can have this name or owner.
func ValidateLeaseOwner(name, owner string) error {
	if err := validateName("name", name); err != nil {
		return err
	}
	return validateName("owner", owner)
}

// Validate returns an *InvalidError if s cannot be a stream: its type and id must
// each be 1 to [MaxName] bytes of valid UTF-8 without NUL.
func (s Stream) Validate() error {
	if err := validateName("stream.type", s.Type); err != nil {
		return err
	}
	return validateName("stream.id", s.ID)
}

// Validate returns an *InvalidError if o cannot be read: Limit must not be
// negative.
func (o ReadOptions) Validate() error {
	return validateLimit(o.Limit)
}

// Validate returns an *InvalidError if o cannot be read: Limit must not be
// negative.
func (o LogOptions) Validate() error {
	return validateLimit(o.Limit)
}

// ValidateAppend returns an *InvalidError naming the first argument that no store
// accepts. The stream must be valid and expected not the zero value. There must be 1 to
// [MaxBatch] events with different ids, whose ids and types are 1 to [MaxName] bytes,
// whose texts are valid UTF-8 without NUL, that have Data or a Value but not both, and
// that keep to the other limits.
func ValidateAppend(s Stream, expected Expected, events []Event) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if expected < Any || expected == 0 || expected > Expected(MaxVersion) {
		return &InvalidError{"expected", "is the zero value or out of range: use NoStream, Exactly, Exists or Any"}
	}
	if len(events) == 0 {
		return &InvalidError{"events", "is empty"}
	}
	if len(events) > MaxBatch {
		return &InvalidError{"events", fmt.Sprintf("has %d events, more than %d", len(events), MaxBatch)}
	}
	size := 0
	before := &Event{}
	for i := range events {
		if err := validateEvent(&events[i], before); err != nil {
			err.Field = fmt.Sprintf("events[%d].%s", i, err.Field)
			return err
		}
		before = &events[i]
		size += len(events[i].Data)
	}
	if size > MaxBatchData {
		return &InvalidError{"events", fmt.Sprintf("has %d bytes of data, more than %d", size, MaxBatchData)}
	}
	return validateIDs(events)
}

// validateEvent does not check again what e shares with before, the valid event before
// it.
func validateEvent(e, before *Event) *InvalidError {
	if err := checkName("id", e.ID); err != nil {
		return err
	}
	if e.Type == "" || e.Type != before.Type {
		if err := checkName("type", e.Type); err != nil {
			return err
		}
	}
	if e.ContentType != before.ContentType {
		if err := checkText("content type", e.ContentType, MaxName); err != nil {
			return err
		}
	}
	if len(e.Data) > MaxData {
		return &InvalidError{"data", fmt.Sprintf("has %d bytes, more than %d", len(e.Data), MaxData)}
	}
	if e.Value != nil && len(e.Data) > 0 {
		return &InvalidError{"value", "is set, and data is set too"}
	}
	return validateMetadata(&e.Meta)
}

func validateMetadata(m *Metadata) *InvalidError {
	if m.CorrelationID == "" && m.CausationID == "" && m.ActorID == "" && len(m.Headers) == 0 {
		return nil
	}
	texts := [...]struct{ name, text string }{
		{"correlation id", m.CorrelationID},
		{"causation id", m.CausationID},
		{"actor id", m.ActorID},
	}
	size := 0
	for _, t := range texts {
		if err := checkText(t.name, t.text, MaxMetadata); err != nil {
			return err
		}
		size += len(t.text)
	}
	for key, value := range m.Headers {
		if key == "" {
			return &InvalidError{"headers", "has an empty key"}
		}
		if err := checkText("header key", key, MaxMetadata); err != nil {
			return err
		}
		if err := checkText("header "+key, value, MaxMetadata); err != nil {
			return err
		}
		size += len(key) + len(value)
	}
	if size > MaxMetadata {
		return &InvalidError{"metadata", fmt.Sprintf("has %d bytes, more than %d", size, MaxMetadata)}
	}
	return nil
}

// validateIDs returns an error if an event id occurs twice in the batch.
func validateIDs(events []Event) error {
	if len(events) <= smallBatch {
		var ends [smallBatch]uint32
		for i := range events {
			ends[i] = end(events[i].ID)
			for first, other := range ends[:i] {
				if other == ends[i] && events[first].ID == events[i].ID {
					return sameID(first, i)
				}
			}
		}
		return nil
	}
	seen := make(map[string]int, len(events))
	for i := range events {
		if first, ok := seen[events[i].ID]; ok {
			return sameID(first, i)
		}
		seen[events[i].ID] = i
	}
	return nil
}

// smallBatch is the size up to which comparing all pairs of ids is faster than a map.
const smallBatch = 16

// end returns the last bytes of id, where ids differ most, and its length.
func end(id string) uint32 {
	n := len(id)
	if n < 3 {
		return 0
	}
	return uint32(id[n-1]) | uint32(id[n-2])<<8 | uint32(id[n-3])<<16 | uint32(n)<<24 //nolint:gosec // of the length, only a part
}

func sameID(first, second int) error {
	return &InvalidError{fmt.Sprintf("events[%d].id", second), fmt.Sprintf("is the same as that of events[%d]", first)}
}

func validateLimit(limit int) error {
	if limit < 0 {
		return &InvalidError{"limit", fmt.Sprintf("is %d", limit)}
	}
	return nil
}

// validateName is checkName as an error that can be nil.
func validateName(field, name string) error {
	if err := checkName(field, name); err != nil {
		return err
	}
	return nil
}

func checkName(field, name string) *InvalidError {
	if name == "" {
		return &InvalidError{field, "is empty"}
	}
	return checkText(field, name, MaxName)
}

func checkText(field, text string, limit int) *InvalidError {
	switch {
	case len(text) > limit:
		return &InvalidError{field, fmt.Sprintf("has %d bytes, more than %d", len(text), limit)}
	case plain(text):
		return nil
	case strings.IndexByte(text, 0) >= 0:
		return &InvalidError{field, "has a NUL byte"}
	case !utf8.ValidString(text):
		return &InvalidError{field, "is not valid UTF-8"}
	}
	return nil
}

// plain reports whether text has only ASCII bytes and no NUL, like nearly all names.
func plain(text string) bool {
	const highs = 0x8080808080808080
	var found uint64 // has a high bit for each byte that is not plain
	for ; len(text) >= 8; text = text[8:] {
		x := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		found |= (x - 0x0101010101010101) | x
	}
	for i := range len(text) {
		found |= (uint64(text[i]) - 1) | uint64(text[i])
	}
	return found&highs == 0
}
