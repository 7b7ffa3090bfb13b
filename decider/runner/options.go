package runner

import (
	"fmt"
	"time"

	"github.com/evolvego/evolve/store"
)

// Option changes a single call. If two options contradict each other, the later one
// counts.
type Option interface {
	apply(o options) options
}

// options is the sum of the options of a call.
type options struct {
	err      error // of the first invalid option
	source   source
	expect   *expectation // nil: none
	asOf     bool         // load up to version
	version  uint64
	command  string
	mark     string // the fingerprint
	meta     store.Metadata
	attempts int // 0: as the runner says
	age      time.Duration
	memento  any // a Loaded[S]
}

// source is where a load begins.
type source uint8

const (
	fromStore     source = iota // the cache or a snapshot, and the tail
	fromRecent                  // a cached state younger than age, as it is
	fromCached                  // any cached state, as it is
	fromNothing                 // the initial state, as it is
	fromMemento                 // the memento, and the tail
	fromBeginning               // the whole stream
	commandsOnly  = "is for commands, not for Load"
)

type option func(o options) options

func (f option) apply(o options) options { return f(o) }

func gather(opts []Option) options {
	var o options
	for _, opt := range opts {
		o = opt.apply(o)
	}
	return o
}

// refuse returns o with an error for field, unless it already has an error.
func (o options) refuse(field, reason string) options {
	if o.err == nil {
		o.err = &store.InvalidError{Field: field, Reason: reason}
	}
	return o
}

// ExpectVersion makes the call proceed only if the stream is at version v, where 0 means
// a stream without events. Otherwise the call returns a *store.ConflictError: at once if
// the stream is at another version when it is loaded, or after the append if another
// writer got there first. The command is never decided again, because a caller that names
// a version has decided on what it saw there. ExpectVersion does not apply to Load.
func ExpectVersion(v uint64) Option { return ExpectOneOf(v) }

// ExpectOneOf is [ExpectVersion] for any of versions. Without versions the call never
// proceeds. If the stream has moved from one of them to another, the command is decided
// again.
func ExpectOneOf(versions ...uint64) Option {
	return expect(&expectation{versions: versions})
}

// ExpectNoneOf makes the call proceed only if the stream is at none of versions.
// ExpectNoneOf(0) requires that the stream exists. If the stream has moved on to another
// version that is none of them, the command is decided again. See [ExpectVersion].
func ExpectNoneOf(versions ...uint64) Option {
	return expect(&expectation{versions: versions, not: true})
}

func expect(e *expectation) Option {
	return option(func(o options) options {
		o.expect, o.asOf = e, false
		return o
	})
}

// CommandID identifies the command, so that it is recorded in its stream at most once,
// however often it is sent. If its events are there already, from this process or another
// one, the call returns them with [Outcome].Replayed set, whatever Decide would return now.
// IDs are compared byte by byte. A command that decided no events or was rejected leaves
// no trace and is decided again. An empty ID is a *store.InvalidError.
//
// The price: a load compares the ID of each event that it reads. And a call that would be
// rejected, or has nothing to do, on a state from a cache, a snapshot or a memento reads
// the whole stream for the ID before it says so.
func CommandID(id string) Option {
	return option(func(o options) options {
		if id == "" {
			return o.refuse("command id", "is empty")
		}
		o.command = id
		return o
	})
}

// Fingerprint identifies the content of the command that [CommandID] names, such as a
// hash of its request. It is stored with the events, in the header [FingerprintHeader]. A
// call with the same ID and another fingerprint returns a *[ReusedError], instead of the
// outcome of a command that its caller did not mean. Without a CommandID, or if one of
// the calls had no fingerprint, it does nothing.
func Fingerprint(of string) Option {
	return option(func(o options) options {
		o.mark = of
		return o
	})
}

// FingerprintHeader is the metadata header that holds the [Fingerprint] of a command.
const FingerprintHeader = "command-fingerprint"

// Metadata sets the metadata of the command's events. The default is none.
func Metadata(m store.Metadata) Option {
	return option(func(o options) options {
		o.meta = m
		return o
	})
}

// MaxAttempts overrides Retry.Attempts for this call. It panics if n < 1.
func MaxAttempts(n int) Option {
	if n < 1 {
		panic(fmt.Sprintf("runner: MaxAttempts(%d): at least one is required", n))
	}
	return option(func(o options) options {
		o.attempts = n
		return o
	})
}

// AllowStale uses a cached state that was current less than age ago, without reading the
// stream: a load or a rejection may be that much out of date. An append is not, because
// the store checks the version. Without a cached state, or with an older one, the call
// proceeds as usual.
func AllowStale(age time.Duration) Option {
	return option(func(o options) options {
		o.source, o.age = fromRecent, age
		return o
	})
}

// AnyCached is [AllowStale] for any age.
func AnyCached() Option {
	return option(func(o options) options {
		o.source = fromCached
		return o
	})
}

// AssumeEmpty begins with the initial state and reads nothing, which is right for a
// command that begins a stream. The append expects that there is no stream. If there is
// one, it is loaded and the command is decided again. A rejection, or an outcome without
// events, refers to the initial state.
func AssumeEmpty() Option {
	return option(func(o options) options {
		o.source = fromNothing
		return o
	})
}

// LoadFrom begins with m, the result of an earlier Load or the Loaded of an Outcome of
// the same stream, and reads only the events after it. If m is beyond the head of the
// stream, it is ignored. If S is not the state of the runner, the call returns a
// *store.InvalidError.
func LoadFrom[S any](m Loaded[S]) Option {
	return option(func(o options) options {
		o.source, o.memento = fromMemento, m
		return o
	})
}

// AsOf makes Load return the state at version, where 0 is the initial state. A version
// beyond the head of the stream is a *store.InvalidError. AsOf applies only to Load.
func AsOf(version uint64) Option {
	return option(func(o options) options {
		o.asOf, o.version, o.expect = true, version, nil
		return o
	})
}
