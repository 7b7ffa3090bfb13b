package jetstream

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/evolvego/evolve/store"
)

// maxToken is the maximum length of a token of a subject. A subject has four of them,
// and a server accepts 4 KiB in one line of its protocol.
const maxToken = 100

// hashed is the prefix of a token that is the hash of a name.
const hashed = "~"

// token returns name as a token of a subject, with %XX for bytes that a subject cannot
// have, or hashed if it would be too long. Different names have different tokens.
func token(name string) string {
	plain := true
	for i := range len(name) {
		if !inToken(name[i]) {
			plain = false
			break
		}
	}
	if plain && len(name) <= maxToken {
		return name
	}
	if escaped := escape(name, inToken); len(escaped) <= maxToken {
		return escaped
	}
	return hashed + hash(name, sha256.Size)
}

// nameOf returns the name for token t, and false if t is a hash.
func nameOf(t string) (string, bool) {
	if strings.HasPrefix(t, hashed) {
		return "", false
	}
	return unescape(t), true
}

func inToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// hash returns the first n bytes of the hash of name, as text.
func hash(name string, n int) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:n])
}

// keyBytes is the number of bytes of the hash of an event id or a key.
const keyBytes = 16

// escape returns text with %XX for each byte for which plain returns false.
func escape(text string, plain func(c byte) bool) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; plain(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// inHeader reports whether the value of a header can contain c unescaped.
func inHeader(c byte) bool { return c > ' ' && c < 0x7f && c != '%' }

func escapeHeader(text string) string {
	for i := range len(text) {
		if !inHeader(text[i]) {
			return escape(text, inHeader)
		}
	}
	return text
}

// unescape undoes escape. It leaves anything else unchanged.
func unescape(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low)) //nolint:gosec // two digits
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }

// logName matches the names of logs, which are part of the names of streams in NATS,
// and of subjects.
var logName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// subjects returns the names of everything in a log.
type subjects struct{ log string }

func (s subjects) stream() string { return "EV_" + s.log }
func (s subjects) keep() string   { return "EV_" + s.log + "_KEEP" }

// all, allKept and allEvents match every subject of the log, of the stream next to it,
// and of its events.
func (s subjects) all() string       { return "ev." + s.log + ".>" }
func (s subjects) allKept() string   { return "evk." + s.log + ".>" }
func (s subjects) allEvents() string { return "ev." + s.log + ".e.>" }

// news is the prefix of the subjects of notifications about events. The rest is the
// same as in the subject of the event.
func (s subjects) news() string { return "evn." + s.log }

func (s subjects) mark() string     { return "ev." + s.log + ".m" }
func (s subjects) markKept() string { return "evk." + s.log + ".m" }
func (s subjects) barrier() string  { return "ev." + s.log + ".b" }

// of returns the prefix of the subjects of the events of a tenant.
func (s subjects) of(tenant string) string { return "ev." + s.log + ".e." + token(tenant) + "." }

func (s subjects) event(tenant string, stream store.Stream) string {
	return s.of(tenant) + token(stream.Type) + "." + token(stream.ID)
}

func (s subjects) id(tenant, id string) string {
	return "ev." + s.log + ".i." + token(tenant) + "." + hash(id, keyBytes)
}

func (s subjects) claim(tenant, key string) string {
	return "ev." + s.log + ".c." + token(tenant) + "." + hash(key, keyBytes)
}

func (s subjects) snapshot(tenant string, stream store.Stream, schema string) string {
	return "evk." + s.log + ".s." + token(tenant) + "." + token(stream.Type) + "." + token(stream.ID) + "." + token(schema)
}

// buckets is the number of groups of a tenant's checkpoints, because one request
// returns the newest messages of at most 1,024 subjects.
const buckets = 64

func (s subjects) checkpoints(tenant string) string {
	return "evk." + s.log + ".p." + token(tenant) + ".>"
}

func (s subjects) bucket(tenant string, n int) string {
	return fmt.Sprintf("evk.%s.p.%s.%d.>", s.log, token(tenant), n)
}

func (s subjects) checkpoint(tenant, name string) string {
	sum := sha256.Sum256([]byte(name))
	return fmt.Sprintf("evk.%s.p.%s.%d.%s", s.log, token(tenant), sum[0]%buckets, token(name))
}

func (s subjects) lease(tenant, name string) string {
	return "evk." + s.log + ".l." + token(tenant) + "." + token(name)
}

// streamOf returns the stream whose events have this subject. It takes the parts that
// are hashed from named.
func streamOf(subject string, named store.Stream) store.Stream {
	rest, id := cutLast(subject)
	_, typ := cutLast(rest)
	if name, ok := nameOf(typ); ok {
		named.Type = name
	}
	if name, ok := nameOf(id); ok {
		named.ID = name
	}
	return named
}

func cutLast(subject string) (before, last string) {
	i := strings.LastIndexByte(subject, '.')
	if i < 0 {
		return "", subject
	}
	return subject[:i], subject[i+1:]
}
