package jetstream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/evolvego/evolve/store"
)

// config holds the settings of a backend.
type config struct {
	log         string
	replicas    int
	create      bool
	leaderReads bool
	idsFor      time.Duration // 0 means forever
	ownsConn    bool
	connection  []nats.Option
}

// Option is an option of [Open] and [New].
type Option interface{ apply(c *config) }

type option func(*config)

func (o option) apply(c *config) { o(c) }

// WithLog sets the name of the log. The default is "evolve". A name consists of at most
// 32 ASCII letters, digits, - and _. The log called NAME is the streams EV_NAME and
// EV_NAME_KEEP in NATS, with the subjects ev.NAME.> and evk.NAME.>. With any other
// name, opening a store returns a *[store.InvalidError].
func WithLog(name string) Option { return option(func(c *config) { c.log = name }) }

// WithReplicas sets the number of servers that keep the log if opening the store
// creates it: 1, 3 or 5. The default is 3, which needs three servers. With 1, the loss
// of a server is the loss of the log, so use it only for development and tests; you
// must then also use it to open an existing log. With another number, opening a store
// returns a *[store.InvalidError].
func WithReplicas(n int) Option { return option(func(c *config) { c.replicas = n }) }

// WithoutCreate keeps the store from creating streams in NATS: opening the store then
// creates nothing, and fails with [ErrNoStream] if they do not exist.
func WithoutCreate() Option { return option(func(c *config) { c.create = false }) }

// WithLeaderReads makes reads ask only the leader of the log. This takes a tenth of the
// time of other reads. But a server that was paused, or is cut off from the others, may
// believe that it is the leader for up to 20 seconds, and answers the clients that
// still reach it without the appends made in the meantime. Appends are not affected:
// they are refused if they are based on old state.
//
// With one replica, all reads are of this kind, and are never old.
func WithLeaderReads() Option { return option(func(c *config) { c.leaderReads = true }) }

// WithIDsFor makes the log remember event ids only for d, which must be at least an
// hour. The default is forever, which costs each server about 115 bytes of memory per
// event. An append that is retried after more than d counts as new: it is recorded
// again, or conflicts if it expects a version. If d is below an hour, opening a store
// returns a *[store.InvalidError].
func WithIDsFor(d time.Duration) Option { return option(func(c *config) { c.idsFor = d }) }

// WithConnection adds options for the connection that [Open] makes, such as
// [nats.UserCredentials], [nats.RootCAs] or [nats.ClientCert]. It has no effect on
// [New].
func WithConnection(options ...nats.Option) Option {
	return option(func(c *config) { c.connection = append(c.connection, options...) })
}

// openIn is how long opening a store waits for a cluster that has just been started.
const openIn = 10 * time.Second

// defaultReplicas is the default number of servers that keep a log.
const defaultReplicas = 3

func newConfig(options []Option) (*config, error) {
	c := &config{log: "evolve", create: true}
	for _, o := range options {
		o.apply(c)
	}
	if !logName.MatchString(c.log) {
		return nil, invalid("log", fmt.Sprintf("is %q, not 1 to 32 ASCII letters, digits, - and _", c.log))
	}
	if !slices.Contains([]int{0, 1, 3, 5}, c.replicas) {
		return nil, invalid("replicas", fmt.Sprintf("is %d, not 1, 3 or 5", c.replicas))
	}
	if c.idsFor != 0 && c.idsFor < time.Hour {
		return nil, invalid("ids", fmt.Sprintf("are remembered for %s, less than an hour", c.idsFor))
	}
	return c, nil
}

// Open connects to the servers in url, creates the log if it does not exist, and
// returns the store of [store.DefaultTenant]. You must close the store. Open uses ctx
// only while it opens the store.
//
// The url has one or more servers, separated by commas. The client learns the other
// servers of a cluster from any one of them:
//
//	nats://user:secret@a:4222,nats://user:secret@b:4222
//
// Open returns an *[Error] if the servers or the log cannot be used, and a
// *[store.InvalidError] if an option is invalid. No error contains a secret from url.
func Open(ctx context.Context, url string, options ...Option) (*Store, error) {
	c, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.ownsConn = true
	secrets, err := secretsOf(url)
	if err != nil {
		return nil, err
	}
	nc, err := connect(ctx, url, c.connection)
	if err != nil {
		if ended := ctx.Err(); ended != nil {
			return nil, ended
		}
		return nil, &Error{Kind: kindOf(err, 0), Err: errors.New(redact(err.Error(), secrets))}
	}
	s, err := open(ctx, nc, c)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return s, nil
}

// connect connects to a server in url, and reconnects forever when the connection is
// lost.
func connect(ctx context.Context, url string, more []nats.Option) (*nats.Conn, error) {
	const quiet = 5 * time.Second // silence after which the client asks whether the server is still there
	in := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		in = min(in, max(time.Until(deadline), time.Millisecond))
	}
	return nats.Connect(url, append([]nats.Option{
		nats.Name("evolve"), nats.Timeout(in), nats.MaxReconnects(-1),
		nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.PingInterval(quiet), nats.MaxPingsOutstanding(2), nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // missing messages are noticed elsewhere
	}, more...)...)
}

// secretsOf returns the parts of a URL that must not appear in errors. If servers does
// not parse, the error contains nothing of it.
func secretsOf(servers string) (secrets []string, err error) {
	const form = "want nats://user:secret@host:4222, with / ? # @ : , % in a password as %2F %3F %23 %40 %3A %2C %25"
	for server := range strings.SplitSeq(servers, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) ||
			(u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
			return nil, &Error{Kind: ErrSettings, Err: errors.New("the URL cannot be used: " + form)}
		}
		if u.User != nil {
			password, _ := u.User.Password()
			secrets = append(secrets, u.User.String(), password, u.User.Username())
		}
	}
	return secrets, nil
}

// New is like [Open] with your own connection, which must not be nil. Close it after
// the store. Its MaxReconnects should be -1, so that it survives the loss of servers.
func New(ctx context.Context, nc *nats.Conn, options ...Option) (*Store, error) {
	c, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return open(ctx, nc, c)
}

func open(ctx context.Context, nc *nats.Conn, c *config) (*Store, error) {
	b, err := newBackend(nc, c)
	if err != nil {
		return nil, typed(err)
	}
	err = b.prepare(ctx)
	if err != nil {
		b.kill()
		b.wire.close()
		if ended := ctx.Err(); ended != nil {
			return nil, ended
		}
		return nil, typed(err)
	}
	n := 4
	if b.alone {
		n = 1 // a single disk writes one batch after another
	}
	for range n {
		b.lanes = append(b.lanes, &lane{backend: b})
	}
	b.news.backend = b
	return &Store{backend: b, tenant: store.DefaultTenant}, nil
}

func checkServer(version string) error {
	least, v := [...]int{2, 15, 3}, [3]int{}
	core, _, _ := strings.Cut(version, "-")
	if _, err := fmt.Sscanf(core, "%d.%d.%d", &v[0], &v[1], &v[2]); err != nil || slices.Compare(v[:], least[:]) < 0 {
		return &Error{Kind: ErrSettings, Err: fmt.Errorf(
			"the server has version %q, but logs need 2.15.3 or later, in which appends survive the loss of a leader: update all servers", version)}
	}
	return nil
}

// prepare creates the missing parts of the log, and checks that it can be used.
func (b *backend) prepare(ctx context.Context) error {
	if err := checkServer(b.nc.ConnectedServerVersion()); err != nil {
		return err
	}
	if err := b.wire.canHear(); err != nil {
		return err
	}
	if err := b.wire.followElections(b.names); err != nil {
		return err
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		return err
	}
	wanted := b.streams()
	for i := range wanted {
		want := &wanted[i]
		info, err := b.stream(ctx, js, want)
		if err != nil {
			return err
		}
		if err := b.check(&info.Config, want); err != nil {
			return err
		}
		b.alone = info.Config.Replicas == 1
	}
	return b.identify(ctx)
}

// streams returns the configurations of the log's streams in NATS: the stream of the
// events, and the stream next to it.
func (b *backend) streams() []jetstream.StreamConfig {
	replicas := b.replicas
	if replicas == 0 {
		replicas = defaultReplicas
	}
	events := jetstream.StreamConfig{
		Name: b.names.stream(), Subjects: []string{b.names.all()}, Description: "a log of evolve",
		Storage: jetstream.FileStorage, Replicas: replicas, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: -1, Duplicates: 100 * time.Millisecond,
		DenyDelete: true, DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true, AllowMsgTTL: true,
		RePublish: &jetstream.RePublish{Source: b.names.allEvents(), Destination: b.names.news() + ".>", HeadersOnly: true},
	}
	kept := jetstream.StreamConfig{
		Name: b.names.keep(), Subjects: []string{b.names.allKept()}, Description: "what evolve keeps beside a log",
		Storage: jetstream.FileStorage, Replicas: replicas, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgsPerSubject: 1, Duplicates: 100 * time.Millisecond,
		AllowDirect: true,
	}
	return []jetstream.StreamConfig{events, kept}
}

// stream returns the existing stream, or creates it as wanted. Right after the start of
// a cluster, this may need several attempts.
func (b *backend) stream(ctx context.Context, js jetstream.JetStream, want *jetstream.StreamConfig) (info *jetstream.StreamInfo, err error) {
	err = b.wire.retryFor(ctx, openIn, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		existing, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) && b.create {
			existing, err = js.CreateStream(ctx, *want)
		}
		if err != nil {
			return b.cannotOpen(err, want)
		}
		info = existing.CachedInfo()
		return nil
	})
	return info, err
}

// cannotOpen turns err, the reason why a stream was not found or created, into an error
// of this package.
func (b *backend) cannotOpen(err error, want *jetstream.StreamConfig) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		return b.wire.silent()
	}
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("%w: no server has JetStream for this account: set jetstream { store_dir: … }", nats.ErrNoResponders)
	}
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return &Error{Kind: ErrSettings, Code: codeNotEnabled, Err: errors.New("JetStream is not enabled on the servers, or not for this account: set jetstream { store_dir: … }")}
	}
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return err
	}
	code := int(api.ErrorCode)
	switch code {
	case codeNoStream:
		return &Error{Kind: ErrNoStream, Code: code, Err: fmt.Errorf("stream %s does not exist", want.Name)}
	case codeReplicas:
		return &Error{Kind: ErrSettings, Code: code, Err: fmt.Errorf(
			"the log needs %d replicas, but the server is not in a cluster: run three, or use WithReplicas(1) for development", want.Replicas)}
	}
	return &apiError{Code: api.Code, ErrCode: code, Description: api.Description}
}

// check returns an error if an existing stream cannot be used.
func (b *backend) check(is, want *jetstream.StreamConfig) error {
	wrong := func(setting, why string) error {
		return &Error{Kind: ErrSettings, Err: fmt.Errorf("stream %s has %s: %s", is.Name, setting, why)}
	}
	events := want.AllowAtomicPublish
	switch {
	case is.Replicas == 1 && b.replicas != 1:
		return wrong("num_replicas: 1", "the loss of its server would be the loss of the log: give it 3, or use WithReplicas(1)")
	case b.replicas != 0 && is.Replicas != b.replicas:
		return wrong(fmt.Sprintf("num_replicas: %d", is.Replicas), fmt.Sprintf("want %d", b.replicas))
	case events && !is.AllowAtomicPublish:
		return wrong("allow_atomic: false", "want true")
	case !is.AllowDirect:
		return wrong("allow_direct: false", "want true")
	case events && !is.AllowMsgTTL:
		return wrong("allow_msg_ttl: false", "want true")
	case is.Storage != jetstream.FileStorage:
		return wrong("storage: memory", "want file")
	case is.MaxAge != 0:
		return wrong("max_age: "+is.MaxAge.String(), "events would be lost: want 0")
	case is.Discard != jetstream.DiscardNew && (is.MaxMsgs > 0 || is.MaxBytes > 0):
		return wrong("discard: old, with a limit", "events would be lost: want discard: new")
	case is.MaxMsgsPerSubject != want.MaxMsgsPerSubject:
		return wrong(fmt.Sprintf("max_msgs_per_subject: %d", is.MaxMsgsPerSubject), fmt.Sprintf("want %d", want.MaxMsgsPerSubject))
	case is.Retention != jetstream.LimitsPolicy:
		return wrong("retention: "+is.Retention.String(), "want limits")
	case !slices.Equal(is.Subjects, want.Subjects):
		return wrong(fmt.Sprintf("subjects: %q", is.Subjects), fmt.Sprintf("want %q", want.Subjects))
	}
	return nil
}

// format is the version of the message format of a log. A program cannot open a log
// with a higher one.
const format = 1

// mark is the first message of a log.
type mark struct {
	Format int    `json:"format"`
	Log    string `json:"log"` // random
}

// identify writes the marks of the log and of the stream next to it, if they are
// missing, and reads the log's mark.
func (b *backend) identify(ctx context.Context) error {
	for _, m := range []struct{ stream, subject string }{{b.names.keep(), b.names.markKept()}, {b.names.stream(), b.names.mark()}} {
		var found mark
		err := b.wire.retry(ctx, func(ctx context.Context) (err error) {
			found, err = b.marked(ctx, m.stream, m.subject)
			return err
		})
		if err != nil {
			return err
		}
		if found.Format != format {
			return &Error{Kind: ErrOtherFormat, Err: fmt.Errorf("stream %s has format %d, but this program knows only %d", m.stream, found.Format, format)}
		}
		b.identity = found.Log
	}
	return nil
}

// marked returns the mark of a stream, and writes it if there is none.
func (b *backend) marked(ctx context.Context, stream, subject string) (found mark, err error) {
	m, err := b.wire.newest(ctx, stream, subject)
	if err != nil {
		return mark{}, err
	}
	if m != nil {
		if json.Unmarshal(m.data, &found) != nil {
			return mark{}, damaged("the mark of stream " + stream + " cannot be read")
		}
		return found, nil
	}
	if !b.create {
		return mark{}, &Error{Kind: ErrNoStream, Err: fmt.Errorf("stream %s exists, but nobody has opened a log in it", stream)}
	}
	data, err := json.Marshal(mark{format, rand.Text()})
	if err != nil {
		return mark{}, err
	}
	if _, err := b.wire.publish(ctx, expecting(subject, nil, data, 0)); err != nil && (isPassing(err) || !isAmbiguous(err)) {
		return mark{}, err
	}
	return mark{}, errBehind // the mark exists now, written here or elsewhere: look again
}
