package server

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/evolvego/evolve/store"
	"github.com/evolvego/evolve/store/grpc/internal/wire"
)

// The key of an append is recorded with it, as a header of its first event, so that the
// two are one write on every store: "COUNT FINGERPRINT KEY". The server reads the whole
// stream once to learn its keys; then it caches the keys of the stream, and an append
// reads only what others have appended since. An append with a key expects one exact
// version of the stream. So if the keys are known up to that version and the append
// succeeds, nothing can have come in between, not even from another server.

// cachedKeys is the number of streams whose keys are cached.
const cachedKeys = 1 << 12

// keys holds the idempotency keys of the streams most recently used with a key.
type keys struct {
	streams *cache[tenantStream, *streamKeys]
}

type tenantStream struct {
	tenant string
	stream store.Stream
}

func newKeys() *keys {
	return &keys{newCache[tenantStream, *streamKeys](cachedKeys)}
}

// streamKeys holds the keys of a stream.
type streamKeys struct {
	gate
	read uint64             // guarded by gate; all keys up to this version are known
	used map[digest]keyUsed // guarded by gate; by the digest of the key
}

type digest [sha256.Size]byte

// keyUsed is where a key was used.
type keyUsed struct {
	last  uint64 // version of the last event of the batch
	batch digest // its fingerprint
}

// appendKeyed appends a if its key is not known. If it is, the batch is already
// recorded, or it is a different one.
func (s *Server) appendKeyed(ctx context.Context, a *appending) (store.Appended, error) {
	if len(a.key) > store.MaxName || strings.IndexByte(a.key, 0) >= 0 {
		return store.Appended{}, refusedf("idempotency_key has more than %d bytes or a NUL byte", store.MaxName)
	}
	k, _ := s.keys.streams.get(tenantStream{a.tenant, a.stream}, func() *streamKeys {
		return &streamKeys{gate: newGate(), used: make(map[digest]keyUsed)}
	})
	if err := k.lock(ctx); err != nil {
		return store.Appended{}, err
	}
	defer k.unlock()
	batch := fingerprint(a)
	if k.read != a.expected {
		if err := k.catchUp(ctx, a); err != nil {
			return store.Appended{}, err
		}
	}
	if used, ok := k.used[sha256.Sum256([]byte(a.key))]; ok {
		return used.answer(ctx, a, batch)
	}
	if k.read < a.expected { // the stream may get there while we append, with the key in between
		return store.Appended{}, s.conflictAt(ctx, a, k.read)
	}
	first := &a.events[0]
	first.Meta.Headers = with(first.Meta.Headers, wire.HeaderIdempotency,
		strconv.Itoa(len(a.events))+" "+hex.EncodeToString(batch[:])+" "+a.key)
	appended, err := s.appendOnce(ctx, a)
	if err == nil && !appended.Replayed {
		k.read = appended.Version
		k.used[sha256.Sum256([]byte(a.key))] = keyUsed{appended.Version, batch}
		return appended, nil
	}
	// The stream has moved on, perhaps with the key, through another server.
	if err := k.catchUp(ctx, a); err != nil {
		return store.Appended{}, err
	}
	if used, ok := k.used[sha256.Sum256([]byte(a.key))]; ok {
		return used.answer(ctx, a, batch)
	}
	return appended, err
}

// catchUp reads the keys of a's stream that are not known yet.
func (k *streamKeys) catchUp(ctx context.Context, a *appending) error {
	for {
		page, err := a.store.Read(ctx, a.stream, store.ReadOptions{From: k.read + 1, ReadOnly: true})
		if err != nil {
			return err
		}
		for i := range page.Events {
			r := &page.Events[i]
			if value, ok := r.Meta.Headers[wire.HeaderIdempotency]; ok {
				k.add(r.Version, value)
			}
			k.read = r.Version
		}
		if page.End {
			return nil
		}
	}
}

// add adds the key in value, of a batch whose first event has this version.
func (k *streamKeys) add(version uint64, value string) {
	count, rest, _ := strings.Cut(value, " ")
	batch, key, _ := strings.Cut(rest, " ")
	n, err := strconv.ParseUint(count, 10, 32)
	sum, err2 := hex.DecodeString(batch)
	if err != nil || err2 != nil || n == 0 || len(sum) != sha256.Size {
		return // not our header
	}
	used := keyUsed{last: version + n - 1, batch: digest(sum)}
	k.used[sha256.Sum256([]byte(key))] = used
}

// answer returns the answer to a, whose key was used before.
func (u keyUsed) answer(ctx context.Context, a *appending, batch digest) (store.Appended, error) {
	if u.batch != batch {
		return store.Appended{}, answerf(codes.AlreadyExists, "idempotency key '%s' already used with different payload", a.key)
	}
	page, err := a.store.Read(ctx, a.stream, store.ReadOptions{From: u.last, Limit: 1, ReadOnly: true})
	if err != nil || len(page.Events) == 0 {
		return store.Appended{}, err
	}
	return store.Appended{Version: u.last, Position: page.Events[0].Position, Replayed: true}, nil
}

// fingerprint returns the same value for two appends of one batch. It covers everything
// that the client says about the events, except for where the request came from. It is
// stored for as long as the events.
func fingerprint(a *appending) (sum digest) {
	h := sha256.New()
	hashText(h, a.stream.Type)
	for i := range a.events {
		e := &a.events[i]
		for _, text := range [...]string{
			e.ID, e.Type, orOctetStream(e.ContentType), e.Meta.CorrelationID, e.Meta.CausationID, e.Meta.ActorID, string(e.Data),
		} {
			hashText(h, text)
		}
		keys := slices.Sorted(maps.Keys(e.Meta.Headers))
		keys = slices.DeleteFunc(keys, ofTransport)
		for _, number := range [...]uint64{a.nonces[i], uint64(e.Schema), wire.ToMillis(e.Time), uint64(len(keys))} {
			hashNumber(h, number)
		}
		for _, key := range keys {
			hashText(h, key)
			hashText(h, e.Meta.Headers[key])
		}
	}
	h.Sum(sum[:0])
	return sum
}

// ofTransport reports whether key is a header that describes how a request was made,
// and not what it asks for: a retry, in a new span, has another value.
func ofTransport(key string) bool {
	key = strings.ToLower(key)
	switch key {
	case "traceparent", "tracestate", "baggage", // W3C Trace Context and Baggage
		"b3", "uber-trace-id", "sentry-trace", "x-amzn-trace-id", "x-cloud-trace-context", "grpc-trace-bin",
		"request-id", "x-request-id", "user-agent", "date", "via", "forwarded":
		return true
	}
	return strings.HasPrefix(key, "x-b3-") || strings.HasPrefix(key, "x-datadog-") || strings.HasPrefix(key, "x-forwarded-") ||
		strings.HasPrefix(key, "x-envoy-") || strings.HasPrefix(key, "uberctx-")
}

func orOctetStream(contentType string) string {
	if contentType == "" {
		return store.OctetStream
	}
	return contentType
}

func hashText(h hash.Hash, text string) {
	hashNumber(h, uint64(len(text)))
	h.Write([]byte(text))
}

func hashNumber(h hash.Hash, number uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], number)
	h.Write(b[:])
}
