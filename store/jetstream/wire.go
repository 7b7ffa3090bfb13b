package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// How long to wait for an answer before asking again. A batch may be lost when the
// leader of the log changes, so nobody waits long for it.
const (
	answerIn = 2 * time.Second
	bound    = 30 * time.Second // for a call, whose ctx may have no deadline
)

// errBound is the cause of the context of a call that has reached its time limit.
var errBound = errors.New("gave up after " + bound.String())

// inTime returns how much longer it may take to record size bytes.
func inTime(size int) time.Duration {
	const perSecond = 4 << 20 // on a slow disk
	return time.Duration(size) * time.Second / perSecond
}

// wire makes the requests to the servers for which the NATS client has no calls: for
// many messages at once, and for batches. It is safe for concurrent use.
type wire struct {
	nc    *nats.Conn
	api   string // the prefix of the subjects of the API
	inbox string // the prefix of the subjects of answers
	subs  []*nats.Subscription
	send  sender // ask, except in tests

	mu    sync.Mutex
	calls map[string]*call // by the last token of the subject of the answer; guarded by mu
	last  uint64           // number of the last call; guarded by mu
}

// sender sends messages and returns the answers to them.
type sender func(ctx context.Context, end ending, in time.Duration, messages ...*nats.Msg) ([]*nats.Msg, error)

// call is a request that waits for answers.
type call struct {
	subject string // of its first message
	answers []*nats.Msg
	end     ending
	lost    bool // no further answer is to be expected
	done    chan struct{}
}

// ending determines which answer to a request is the last one.
type ending int

const (
	withAny    ending = iota // the only one
	withStatus               // the one with a status
	ofBatch                  // the one with a status or data; the first message asks for an answer too
	ofEach                   // the same; each message asks for an answer
)

func (e ending) is(m *nats.Msg) bool {
	return e == withAny || m.Header.Get(headerStatus) != "" || e >= ofBatch && len(m.Data) > 0
}

// asks reports whether message i of n asks for an answer.
func (e ending) asks(i, n int) bool { return i == n-1 || e == ofEach || e == ofBatch && i == 0 }

func newWire(nc *nats.Conn) (*wire, error) {
	w := &wire{nc: nc, api: "$JS.API.", inbox: nc.NewInbox() + ".", calls: make(map[string]*call)}
	sub, err := nc.Subscribe(w.inbox+"*", w.answer)
	if err != nil {
		return nil, err
	}
	w.subs, w.send = append(w.subs, sub), w.ask
	return w, sub.SetPendingLimits(-1, -1)
}

func (w *wire) close() {
	for _, s := range w.subs {
		_ = s.Unsubscribe()
	}
}

// answer handles an answer. Answers arrive in the order in which the server has sent
// them.
func (w *wire) answer(m *nats.Msg) {
	_, name := cutLast(m.Subject)
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.calls[name]
	if !ok {
		return // nobody is waiting anymore
	}
	c.answers = append(c.answers, m)
	if c.end.is(m) {
		delete(w.calls, name)
		close(c.done)
	}
}

func (w *wire) begin(subject string, end ending) (c *call, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last++
	name = strconv.FormatUint(w.last, 36)
	c = &call{subject: subject, end: end, done: make(chan struct{})}
	w.calls[name] = c
	return c, name
}

// count returns the number of answers to c so far.
func (w *wire) count(c *call) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(c.answers)
}

func (w *wire) end(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, name)
}

// ask sends messages and waits for the answers. The last message asks for an answer, or
// each one if end says so. It waits about in for the first answer, and then for each
// further one. It returns errNoAnswer if none arrives, or if the leader that it has
// asked is no longer the leader.
func (w *wire) ask(ctx context.Context, end ending, in time.Duration, messages ...*nats.Msg) ([]*nats.Msg, error) {
	c, name := w.begin(messages[0].Subject, end)
	defer w.end(name)
	for i, m := range messages {
		m.Reply = ""
		if end.asks(i, len(messages)) {
			m.Reply = w.inbox + name
		}
		if err := w.nc.PublishMsg(m); err != nil {
			return nil, err
		}
	}
	timer := time.NewTimer(in)
	defer timer.Stop()
	for seen, waiting := 0, true; waiting; {
		select {
		case <-c.done:
			waiting = false
		case <-timer.C:
			n := w.count(c)
			if n == seen {
				return nil, w.silent()
			}
			seen = n // answers arrive, if slowly
			timer.Reset(in)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.lost {
		return nil, errNoAnswer
	}
	if last := c.answers[len(c.answers)-1]; last.Header.Get(headerStatus) == "503" {
		return nil, nats.ErrNoResponders
	}
	return c.answers, nil
}

// silent returns the reason why no server answers, if it is known: the user may not
// publish what was sent.
func (w *wire) silent() error {
	if err := w.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && !isOfSubscription(err) {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	return errAllSilent
}

// canHear returns an error if the user may not receive answers.
func (w *wire) canHear() error {
	if err := w.nc.FlushTimeout(answerIn); err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if err := w.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) && isOfSubscription(err) && strings.Contains(err.Error(), w.inbox) {
		return err
	}
	return nil
}

// isOfSubscription reports whether err, a violation of permissions, is about receiving.
func isOfSubscription(err error) bool { return strings.Contains(err.Error(), "Subscription to") }

// retry calls do until it succeeds or fails for good. It returns the error of ctx if
// that ends, or after bound the last error of do.
func (w *wire) retry(ctx context.Context, do func(ctx context.Context) error) error {
	return w.retryFor(ctx, bound, do)
}

func (w *wire) retryFor(ctx context.Context, bound time.Duration, do func(ctx context.Context) error) error {
	giveUp := time.Now().Add(bound) //nolint:forbidigo // of the servers
	for n := 0; ; n++ {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if ended := ctx.Err(); ended != nil {
			if errors.Is(context.Cause(ctx), errBound) {
				return err
			}
			return ended
		}
		if !isPassing(err) || w.nc.IsClosed() || time.Now().After(giveUp) { //nolint:forbidigo // as above
			return err
		}
		pause(ctx, n)
	}
}

// pause waits before attempt n+1, longer each time, or until ctx ends.
func pause(ctx context.Context, n int) {
	most := min(time.Millisecond<<min(n, 8), 100*time.Millisecond)
	timer := time.NewTimer(most/2 + rand.N(most)) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// newest asks the leader of a stream for the last message of subject, and returns nil
// if there is none.
func (w *wire) newest(ctx context.Context, stream, subject string) (m *message, err error) {
	var answer struct {
		Error   *apiError `json:"error"`
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
	}
	err = w.request(ctx, "STREAM.MSG.GET."+stream, map[string]string{"last_by_subj": subject}, &answer)
	switch {
	case err != nil:
		return nil, err
	case answer.Error != nil && answer.Error.ErrCode == codeNone:
		return nil, nil //nolint:nilnil // there is none
	case answer.Error != nil:
		return nil, answer.Error
	}
	header := nats.Header{}
	if len(answer.Message.Header) > 0 {
		if header, err = nats.DecodeHeadersMsg(answer.Message.Header); err != nil {
			return nil, damaged(fmt.Sprintf("message %d has headers that cannot be read", answer.Message.Seq))
		}
	}
	return &message{answer.Message.Subject, answer.Message.Seq, answer.Message.Time.UTC(), header, answer.Message.Data}, nil
}

// request sends a request of the API and decodes the answer.
func (w *wire) request(ctx context.Context, call string, body, answer any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	answers, err := w.send(ctx, withAny, answerIn, &nats.Msg{Subject: w.api + call, Data: data})
	if err != nil {
		return err
	}
	return json.Unmarshal(answers[0].Data, answer)
}

// stateOf asks the leader of a stream for the position of its last message, and for the
// time there.
func (w *wire) stateOf(ctx context.Context, stream string) (last uint64, now time.Time, err error) {
	var answer struct {
		Error *apiError `json:"error"`
		Time  time.Time `json:"ts"`
		State struct {
			Last uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := w.request(ctx, "STREAM.INFO."+stream, struct{}{}, &answer); err != nil {
		return 0, time.Time{}, err
	}
	if answer.Error != nil {
		return 0, time.Time{}, answer.Error
	}
	return answer.State.Last, answer.Time.UTC(), nil
}

// maxSubjects is the maximum number of subjects that a server lists in one answer.
const maxSubjects = 100_000

// subjects asks the leader of a stream for the subjects that match filter and have
// messages. It returns at most maxSubjects of them, beginning with number from, in the
// server's own order, and the position of the last message.
func (w *wire) subjects(ctx context.Context, stream, filter string, from int) (subjects map[string]uint64, last uint64, err error) {
	var answer struct {
		Error *apiError `json:"error"`
		State struct {
			Last     uint64            `json:"last_seq"`
			Subjects map[string]uint64 `json:"subjects"`
		} `json:"state"`
	}
	err = w.request(ctx, "STREAM.INFO."+stream, map[string]any{"subjects_filter": filter, "offset": from}, &answer)
	if err != nil {
		return nil, 0, err
	}
	if answer.Error != nil {
		return nil, 0, answer.Error
	}
	return answer.State.Subjects, answer.State.Last, nil
}

// direct asks any replica of a stream for messages.
type direct struct {
	Seq       uint64   `json:"seq,omitempty"`
	Next      string   `json:"next_by_subj,omitempty"`
	Batch     int      `json:"batch,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
}

// get returns a replica's answers to d, and the answer that ends them, which is nil for
// a single message.
func (w *wire) get(ctx context.Context, stream string, d *direct) (messages []*message, end *nats.Msg, err error) {
	data, err := json.Marshal(d)
	if err != nil {
		return nil, nil, err
	}
	ends := withAny
	if d.Batch > 0 || len(d.MultiLast) > 0 {
		ends = withStatus
	}
	answers, err := w.send(ctx, ends, answerIn, &nats.Msg{Subject: w.api + "DIRECT.GET." + stream, Data: data})
	if err != nil {
		return nil, nil, err
	}
	for _, a := range answers {
		switch status := a.Header.Get(headerStatus); status {
		case "":
			m, err := stored(a)
			if err != nil {
				return nil, nil, err
			}
			messages = append(messages, m)
		case "204", "404", "413":
			return messages, a, nil
		default:
			return nil, nil, &apiError{Code: number(status), Description: "direct get: status " + status + " " + a.Header.Get("Description")}
		}
	}
	return messages, nil, nil
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// at returns the message at position, which must exist.
func (w *wire) at(ctx context.Context, stream string, position uint64) (m *message, err error) {
	err = w.retry(ctx, func(ctx context.Context) error {
		messages, _, err := w.get(ctx, stream, &direct{Seq: position})
		if err == nil && len(messages) == 0 {
			return errBehind
		}
		if err == nil {
			m = messages[0]
		}
		return err
	})
	return m, err
}

// snapshot returns the last message of each of subjects that has one, as they were at
// one moment at a replica that has all messages up to least. At least one of subjects
// must have a message, and there must be at most 1,024 of them. It also returns the
// position of the last message at that moment. If check is not nil and returns an error
// for a replica's data, which may be old, snapshot gives up.
func (w *wire) snapshot(
	ctx context.Context, stream string, subjects []string, least uint64, check func(last map[string]*message) error,
) (last map[string]*message, upTo uint64, err error) {
	err = w.retry(ctx, func(ctx context.Context) error {
		messages, end, err := w.get(ctx, stream, &direct{MultiLast: subjects})
		switch {
		case err != nil:
			return err
		case end == nil || end.Header.Get(headerStatus) == "404":
			return errBehind
		case end.Header.Get(headerStatus) == "413":
			return errTooMany
		}
		if pending := end.Header.Get(headerPending); pending != "" && pending != "0" {
			return errCut
		}
		last = make(map[string]*message, len(messages))
		for _, m := range messages {
			last[m.subject] = m
		}
		if check != nil {
			if err := check(last); err != nil {
				return err
			}
		}
		upTo, err = strconv.ParseUint(end.Header.Get(headerUpTo), 10, 64)
		if err != nil || upTo < least {
			return errBehind
		}
		return nil
	})
	return last, upTo, err
}

var (
	errTooMany = errors.New("more than 1,024 messages at once")
	errCut     = errors.New("more bytes than a server sends at once")
)

// acknowledged is the answer to published messages.
type acknowledged struct {
	Error *apiError `json:"error"`
	Seq   uint64    `json:"seq"`
	Count int       `json:"count"`
}

// publish publishes one message and returns its position.
func (w *wire) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	return w.untilRoom(ctx, func() (uint64, error) { return w.acknowledge(ctx, withAny, answerIn, m) })
}

// batch publishes messages, all of them or none, and returns the position of the last
// one. It waits for the answer for in, and longer if the messages are large.
func (w *wire) batch(ctx context.Context, in time.Duration, messages []*nats.Msg) (uint64, error) {
	size := 0
	for i, m := range messages {
		m.Header[headerBatchSeq] = []string{strconv.Itoa(i + 1)}
		size += len(m.Data)
	}
	messages[len(messages)-1].Header[headerCommit] = []string{"1"}
	in += inTime(size)
	return w.untilRoom(ctx, func() (uint64, error) {
		position, err := w.acknowledge(ctx, ofBatch, in, named(messages)...)
		if codeOf(err) == codeIncomplete {
			// A message was lost, or refused. Now each message asks for an answer, to find out
			// why.
			position, err = w.acknowledge(ctx, ofEach, in, named(messages)...)
		}
		return position, err
	})
}

// named returns messages with a new batch name.
func named(messages []*nats.Msg) []*nats.Msg {
	id := []string{nuid.Next()}
	for _, m := range messages {
		m.Header[headerBatchID] = id
	}
	return messages
}

// roomIn is how long to wait for a leader with space, if the leader of the log was
// full. It has then given up leadership.
const roomIn = 10 * time.Second

// untilRoom calls do until a server has space. It retries only after answers that
// guarantee that nothing was recorded.
func (w *wire) untilRoom(ctx context.Context, do func() (uint64, error)) (uint64, error) {
	position, err := do()
	if codeOf(err) != codeFull {
		return position, err
	}
	full, giveUp := err, time.Now().Add(roomIn) //nolint:forbidigo // of the servers
	for n := 0; ; n++ {
		pause(ctx, n)
		switch position, err = do(); {
		case err == nil || mayLand(err) || !isFull(err) && !isPassing(err):
			return position, err
		case ctx.Err() != nil || time.Now().After(giveUp): //nolint:forbidigo // as above
			return 0, full
		}
	}
}

// acknowledge publishes messages, and returns the position of the last one.
func (w *wire) acknowledge(ctx context.Context, end ending, in time.Duration, messages ...*nats.Msg) (uint64, error) {
	answers, err := w.send(ctx, end, in, messages...)
	if err != nil {
		return 0, err
	}
	answer := answers[len(answers)-1]
	var a acknowledged
	if err := json.Unmarshal(answer.Data, &a); err != nil {
		return 0, fmt.Errorf("answer to published messages: %w", err)
	}
	if a.Error != nil {
		return 0, a.Error
	}
	if len(messages) > 1 && a.Count != len(messages) {
		return 0, fmt.Errorf("a batch of %d messages was recorded as %d", len(messages), a.Count)
	}
	return a.Seq, nil
}

// expecting returns a message on subject that is refused unless the last message there
// is at position, or there is none if position is 0.
func expecting(subject string, header nats.Header, data []byte, position uint64) *nats.Msg {
	if header == nil {
		header = make(nats.Header, 4)
	}
	header[headerExpect] = []string{strconv.FormatUint(position, 10)}
	return &nats.Msg{Subject: subject, Header: header, Data: data}
}

// redact returns text without the user and the password of the URLs in it.
func redact(text string, secrets []string) string {
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return text
}
