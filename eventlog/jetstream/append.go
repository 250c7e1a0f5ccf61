package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
)

// wrongLast is the server's code for an expectation that was not met.
const wrongLast = 10071

// leaderlessMin is the first pause before a request that nobody took is made again.
const leaderlessMin = 10 * time.Millisecond

// puback is the server's answer to an append.
type puback struct {
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
	Error     *apiError `json:"error"`
}

// apiError is a refusal of the server.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode)
}

// Append implements eventlog.Log. It returns within Config.AppendTimeout and,
// when it is refused, Config.ReadTimeout.
func (l *Log) Append(ctx context.Context, lane string, expect eventlog.Expect, id string, body []byte) (uint64, error) {
	try, cancel := context.WithTimeout(ctx, l.cfg.AppendTimeout)
	defer cancel()
	reply, err := l.offer(try, &nats.Msg{
		Subject: l.lanes + lane,
		Header:  l.header(expect, id),
		Data:    body,
	})
	if err != nil {
		return 0, unknown(err)
	}
	var ack puback
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, unknown(fmt.Errorf("not an acknowledgement: %w", err))
	}
	switch {
	case ack.Error != nil && ack.Error.ErrCode == wrongLast:
		return 0, l.refused(ctx, lane, expect)
	case ack.Error != nil:
		return 0, unknown(ack.Error)
	case ack.Duplicate:
		return 0, unknown(fmt.Errorf("the server took it for a copy of sequence %d", ack.Seq))
	case ack.Stream != l.stream || ack.Seq == 0:
		return 0, unknown(fmt.Errorf("acknowledged by stream %q at sequence %d", ack.Stream, ack.Seq))
	}
	return ack.Seq, nil
}

// offer asks the stream's leader to store. Where several servers elect one and there
// is none, nobody has the request: it is made again as soon as one is elected, and
// now and then, since that may be said a moment before it listens.
func (l *Log) offer(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	for pause := leaderlessMin; ; {
		term, end := l.elections.term(ctx)
		reply, err := l.nc.RequestMsgWithContext(term, m)
		if l.elections == nil || !errors.Is(err, nats.ErrNoResponders) {
			end()
			return reply, err
		}
		select {
		case <-term.Done():
			pause = leaderlessMin
		case <-time.After(pause):
			pause *= 2
		}
		end()
		if ctx.Err() != nil {
			return nil, err
		}
	}
}

// header is that of a commit.
func (l *Log) header(expect eventlog.Expect, id string) nats.Header {
	h := nats.Header{
		js.MsgIDHeader:          {id},
		"Content-Type":          {eventlog.ContentType},
		js.ExpectedStreamHeader: {l.stream},
	}
	if expect.Empty {
		h[js.ExpectedLastSeqHeader] = []string{"0"}
	} else {
		h[js.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(expect.LaneSeq, 10)}
	}
	return h
}

// refused says what a refused expectation means. The server refuses alike when
// a message holds the place, and when it has lost or cannot read the expected
// one; only the first is ErrOccupied, so the message is looked for.
func (l *Log) refused(ctx context.Context, lane string, expect eventlog.Expect) error {
	var err error
	if expect.Empty {
		var info eventlog.Info
		if info, err = l.Info(ctx); err == nil && info.LastSeq == 0 {
			err = eventlog.ErrNotFound
		}
	} else {
		_, err = l.Next(ctx, lane, expect.LaneSeq+1)
	}
	switch {
	case err == nil:
		return eventlog.ErrOccupied
	case errors.Is(err, eventlog.ErrNotFound):
		return unknown(errors.New("the expectation was refused, but no message holds the place: check the stream's integrity"))
	}
	return unknown(err)
}

// unknown makes an error that is ErrUnknown and its cause.
func unknown(cause error) error { return fmt.Errorf("%w: %w", eventlog.ErrUnknown, cause) }
