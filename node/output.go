package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
)

// Limits of the stream that keeps what functions print beyond the 4 KiB that
// travel with a result. It is a convenience, not history: the oldest goes first.
const (
	outputStream  = "BELFRY_LOGS"
	outputAge     = 7 * 24 * time.Hour
	outputBytes   = 1 << 30
	outputShare   = 8 // of a small disk it may fill one in so many
	outputCount   = 100_000
	outputChunks  = 64 // of one attempt, more than wire.OutputBytesMax fills
	outputSubject = "belfry.logs.>"
)

// openOutput makes the stream of outputs, or brings its limits up to date. The
// server sets aside what it may fill, of the most that all streams may.
func openOutput(ctx context.Context, js jetstream.JetStream, most int64) (jetstream.Stream, error) {
	stream, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: outputStream, Subjects: []string{outputSubject}, Storage: jetstream.FileStorage,
		MaxAge: outputAge, MaxBytes: min(outputBytes, most/outputShare), MaxMsgs: outputCount, Discard: jetstream.DiscardOld,
	})
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", outputStream, err)
	}
	return stream, nil
}

// readOutput reads what an attempt printed, in order.
func readOutput(ctx context.Context, stream jetstream.Stream, run string, attempt int) ([]eventlog.LogLine, bool, error) {
	subject := wire.LogsSubject("*", run, attempt)
	var lines []eventlog.LogLine
	for seq, n := uint64(1), 0; n < outputChunks; n++ {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return lines, n == 0, nil
		}
		if err != nil {
			return nil, false, err
		}
		var chunk []wire.LogLine
		if err := json.Unmarshal(m.Data, &chunk); err != nil {
			return nil, false, fmt.Errorf("output of %s: %w", run, err)
		}
		for _, l := range chunk {
			lines = append(lines, eventlog.LogLine{Time: eventlog.TimeOf(l.Time), Stream: l.Stream, Text: l.Text})
		}
		seq = m.Sequence + 1
	}
	return lines, true, nil
}
