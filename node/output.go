package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
	"github.com/belfryhq/belfry/node/service"
)

// Limits of the stream that keeps what functions print beyond the 4 KiB that
// travel with a result. It is a convenience, not history: the oldest goes first.
const (
	outputAge   = 7 * 24 * time.Hour
	outputBytes = 1 << 30
	outputShare = 8 // of a small disk it may fill one in so many
	outputCount = 100_000
	// outputPatience bounds one try of making it.
	outputPatience = 2 * time.Second
)

// output is the stream of outputs.
type output struct {
	stream jetstream.Stream
	prefix wire.Prefix
	wakers *wakers
}

// outputConfig says where the stream of outputs is, and how large it may get.
type outputConfig struct {
	name     string
	prefix   wire.Prefix
	replicas int
	most     int64 // bytes that all streams may have
	log      *slog.Logger
}

func (n *Node) outputConfig() outputConfig {
	return outputConfig{outputStream(n.cfg.Prefix), wire.Prefix(n.cfg.Prefix), n.replicas(), n.nats.MaxStore(), n.cfg.Logger}
}

func outputStream(prefix string) string { return strings.ToUpper(prefix) + "_LOGS" }

// openOutput makes the stream of outputs, or brings its limits up to date. The
// server sets aside what it may fill, of the most that all streams may.
func openOutput(ctx context.Context, js jetstream.JetStream, is outputConfig) (*output, error) {
	limit := min(int64(outputBytes), is.most/outputShare)
	if is.replicas > 1 {
		limit = outputBytes // the same on all nodes, whatever their disks
	}
	cfg := jetstream.StreamConfig{
		Name: is.name, Subjects: []string{is.prefix.LogsAll()}, Storage: jetstream.FileStorage,
		Replicas: is.replicas, MaxAge: outputAge, MaxBytes: limit, MaxMsgs: outputCount, Discard: jetstream.DiscardOld,
	}
	stream, err := tryOutput(ctx, js, cfg)
	// Servers that have just found together may not hear the first question.
	for err != nil && is.replicas > 1 && ctx.Err() == nil {
		is.log.Debug("the stream of outputs cannot be made yet; trying again", "error", err)
		time.Sleep(againAfter)
		stream, err = tryOutput(ctx, js, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", is.name, err)
	}
	return &output{stream, is.prefix, newWakers(stream, is.log)}, nil
}

func tryOutput(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, outputPatience)
	defer cancel()
	return js.CreateOrUpdateStream(ctx, cfg)
}

// Read implements service.Output.
func (o *output) Read(ctx context.Context, run string, attempt int, from service.OutputPlace, take func(number int, l eventlog.LogLine) bool) (service.OutputPlace, bool, error) {
	subject, old := o.prefix.LogsSubject("*", run, attempt), false
	for range wire.OutputChunksMax {
		m, err := o.stream.GetMsg(ctx, max(from.Seq, 1), jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return from, old, nil
		}
		if err != nil {
			return from, false, err
		}
		var chunk []wire.LogLine
		if err := json.Unmarshal(m.Data, &chunk); err != nil {
			return from, false, fmt.Errorf("output of %s: %w", run, err)
		}
		if len(chunk) == 0 {
			return from, true, nil
		}
		number := chunk[0].N
		if number == 0 {
			number, old = from.Line+1, true // an executor that neither numbers them nor tells the end
		}
		for _, l := range chunk {
			if number > from.Line {
				if !take(number, eventlog.LogLine{Time: eventlog.TimeOf(l.Time), Stream: l.Stream, Text: l.Text}) {
					from.Seq = m.Sequence
					return from, false, nil
				}
				from.Line = number
			}
			number++
		}
		from.Seq = m.Sequence + 1
	}
	return from, true, nil
}

// Watch implements service.Output.
func (o *output) Watch(run string) (<-chan struct{}, func()) { return o.wakers.watch(run) }
