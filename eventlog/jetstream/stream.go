package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	js "github.com/nats-io/nats.go/jetstream"

	"github.com/belfryhq/belfry/eventlog"
)

// duplicates is the smallest window that the server knows. The expectation
// alone guards; a larger window would only be loaded into memory at each start.
const duplicates = 100 * time.Millisecond

// openAgain is how long Open waits for an answer of several replicas before it
// asks again.
const openAgain = time.Second

// ErrNoStream says that the server has no event stream. At Open it may be a
// cluster's first start; whether it is, only who remembers an earlier one can
// say. Afterwards it comes together with eventlog.ErrDamaged.
var ErrNoStream = errors.New("there is no event stream")

// ErrSettings says that what stands where the event stream should is not as it
// must be: nothing changes that but who made it.
var ErrSettings = errors.New("the event stream cannot be trusted")

// ErrNoServers says that a new stream finds fewer servers than it wants replicas:
// they are not all up, or there are no more.
var ErrNoServers = errors.New("too few servers have room for its replicas")

// Log is the event stream on a NATS server or cluster.
type Log struct {
	nc  *nats.Conn
	js  js.JetStream
	cfg Config
	// stream is its name, and lanes what all its subjects begin with.
	stream, lanes string
	// replicas is how many the stream had at Open.
	replicas int
	// made tells this stream from another one under the same name: see madeOf.
	made string
	// buffer is the room for messages that wait for deliver, but in tests.
	buffer int
	// elections tells of the stream's leaders; nil with one replica.
	elections *elections

	mu sync.Mutex
	// lost is the doubt whether the stream is there and the one of Open; each
	// answer of the server tells. mu guards it.
	lost eventlog.Doubt
}

var _ eventlog.Log = (*Log)(nil)

// Create makes the stream. It is for a cluster that has never had one: it must
// not be called because a stream was not found. One that is there with the same
// settings, or with more replicas, is left as it is; one with others is ErrSettings,
// and so is another stream that takes these subjects.
func Create(ctx context.Context, nc *nats.Conn, cfg Config) error {
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return err
	}
	api, err := js.New(nc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ReadTimeout)
	defer cancel()
	_, err = api.CreateStream(ctx, settings(cfg))
	refused := new(js.APIError)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, js.ErrStreamNameAlreadyInUse):
		return differs(ctx, api, cfg)
	case errors.As(err, &refused) && refused.ErrorCode == noPeers:
		return fmt.Errorf("create stream %s: %w", cfg.Prefix.Stream(), ErrNoServers)
	case errors.As(err, &refused) && refused.ErrorCode == subjectsTaken:
		return fmt.Errorf("%w: another stream takes subjects of %s: choose another prefix", ErrSettings, cfg.Prefix.LanePrefix())
	}
	return fmt.Errorf("create stream %s: %w", cfg.Prefix.Stream(), err)
}

// The server's codes for too few servers, and for subjects of another stream.
const (
	noPeers       = 10005
	subjectsTaken = 10065
)

// differs says in what a stream that is there is less than the one that was to be
// made; nil if only in what does not matter, such as its description.
func differs(ctx context.Context, api js.JetStream, cfg Config) error {
	stream, err := find(ctx, api, cfg)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", cfg.Prefix.Stream(), err)
	}
	is := stream.CachedInfo().Config
	if err := trust(is, cfg.Prefix); err != nil {
		return err
	}
	if is.Replicas < cfg.Replicas {
		return fmt.Errorf("%w: stream %s is there with %d replicas, not %d: give it those, or choose another prefix", ErrSettings, is.Name, is.Replicas, cfg.Replicas)
	}
	return nil
}

// Open binds to the stream that is there. It returns ErrNoStream if there is
// none, and refuses one whose settings could lose or hide a message, naming the
// setting. It does not look for holes: that is Integrity.
func Open(ctx context.Context, nc *nats.Conn, cfg Config) (*Log, error) {
	given := cfg
	cfg = cfg.WithDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	api, err := js.New(nc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.ReadTimeout)
	defer cancel()
	stream, err := find(ctx, api, cfg)
	if errors.Is(err, js.ErrStreamNotFound) {
		return nil, fmt.Errorf("open %s: %w", cfg.Prefix.Stream(), ErrNoStream)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Prefix.Stream(), err)
	}
	info := stream.CachedInfo()
	if err := trust(info.Config, cfg.Prefix); err != nil {
		return nil, err
	}
	given.Replicas = max(info.Config.Replicas, 1)
	cfg = given.WithDefaults()
	l := &Log{nc: nc, js: api, cfg: cfg, replicas: cfg.Replicas, made: madeOf(info.Created, info.Config.Metadata), buffer: pullBuffer,
		stream: cfg.Prefix.Stream(), lanes: cfg.Prefix.LanePrefix(),
		lost: eventlog.Doubt{Patience: cfg.DamagePatience}}
	if l.replicas > 1 {
		l.cfg.Heartbeat, l.buffer = max(cfg.Heartbeat, pushHeartbeatMin), pushBuffer
		if l.elections, err = watchElections(nc, l.stream); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// madeKey is where the metadata of a restored stream says so, in its own words.
const madeKey = "belfry.made"

// madeOf tells two streams of one name apart: by when they were made. The replicas
// of a restored one do not agree on that, since the server that took the backup has
// the time that stands in it; such a stream has words of its own.
func madeOf(created time.Time, metadata map[string]string) string {
	if made := metadata[madeKey]; made != "" {
		return made
	}
	return "made at " + created.UTC().Format(time.RFC3339Nano)
}

// find asks for the stream and, of several replicas, asks again while nobody
// answers: the question may have gone to a leader that was one no more.
func find(ctx context.Context, api js.JetStream, cfg Config) (js.Stream, error) {
	name, replicas := cfg.Prefix.Stream(), cfg.Replicas
	for {
		try, cancel := context.WithTimeout(ctx, openAgain)
		if replicas <= 1 {
			try = ctx
		}
		stream, err := api.Stream(try, name)
		cancel()
		if err == nil || replicas <= 1 || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return stream, err
		}
	}
}

// settings are the stream's. DiscardNew has no effect while there are no
// limits; should someone set one, appends are refused rather than history lost.
func settings(cfg Config) js.StreamConfig {
	return js.StreamConfig{
		Name:              cfg.Prefix.Stream(),
		Description:       "what happened: the source of truth of belfry",
		Subjects:          []string{cfg.Prefix.LanePrefix() + "*"},
		Retention:         js.LimitsPolicy,
		Storage:           js.FileStorage,
		Discard:           js.DiscardNew,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        -1,
		Duplicates:        duplicates,
		Replicas:          cfg.Replicas,
		DenyDelete:        true,
		Metadata:          map[string]string{"belfry": "events"},
	}
}

// trust says which setting of a stream forbids to rely on it: ErrSettings.
func trust(c js.StreamConfig, prefix eventlog.Prefix) error {
	subjects := []string{prefix.LanePrefix() + "*"}
	var wrong []string
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	must(slices.Equal(c.Subjects, subjects), "subjects is %q and must be %q", c.Subjects, subjects)
	must(c.Storage == js.FileStorage, "storage is %s and must be File", c.Storage)
	must(c.PersistMode == js.DefaultPersistMode, "persist_mode is %s and must be default", c.PersistMode)
	must(c.Retention == js.LimitsPolicy, "retention is %s and must be Limits", c.Retention)
	must(c.Discard == js.DiscardNew, "discard is %s and must be New", c.Discard)
	must(c.MaxMsgs <= 0, "max_msgs is %d and must be -1", c.MaxMsgs)
	must(c.MaxBytes <= 0, "max_bytes is %d and must be -1", c.MaxBytes)
	must(c.MaxAge == 0, "max_age is %s and must be 0", c.MaxAge)
	must(c.MaxMsgsPerSubject <= 0, "max_msgs_per_subject is %d and must be -1", c.MaxMsgsPerSubject)
	must(c.MaxMsgSize <= 0, "max_msg_size is %d and must be -1", c.MaxMsgSize)
	must(c.Duplicates == duplicates, "duplicate_window is %s and must be %s", c.Duplicates, duplicates)
	must(c.FirstSeq <= 1, "first_seq is %d and must be 1", c.FirstSeq)
	must(c.DenyDelete, "deny_delete is off and must be on")
	must(!c.NoAck, "no_ack is on and must be off")
	must(!c.Sealed, "sealed is on and must be off")
	must(!c.AllowDirect, "allow_direct is on and must be off: any replica could answer a read from its past")
	must(!c.AllowRollup, "allow_rollup_hdrs is on and must be off")
	must(!c.AllowMsgTTL, "allow_msg_ttl is on and must be off")
	must(!c.AllowMsgCounter, "allow_msg_counter is on and must be off")
	must(!c.AllowMsgSchedules, "allow_msg_schedules is on and must be off")
	must(c.Mirror == nil && len(c.Sources) == 0, "it is a mirror of other streams and must stand alone")
	must(c.SubjectTransform == nil, "subject_transform is set and must not be")
	if len(wrong) > 0 {
		return fmt.Errorf("%w: stream %s: %s: restore its settings", ErrSettings, prefix.Stream(), strings.Join(wrong, "; "))
	}
	return nil
}
