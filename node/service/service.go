package service

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/oklog/ulid/v2"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/node/api"
	"github.com/belfryhq/belfry/node/scheduler"
)

const (
	// requestsMax bounds requests under way: enough to fill commits from
	// many clients, few enough to hold in memory with their bodies.
	requestsMax = 1024
	// waitsMax bounds those among them that wait for an end.
	waitsMax = requestsMax / 2
	// deadline of a request: below the 5 s after which nats request and most
	// clients give up, so that they get an answer.
	deadline = 4 * time.Second
	// headerBytesMax is room for a reply's headers beside its body.
	headerBytesMax = 4096
	// workerIdle is for how long a worker waits for its next request.
	workerIdle = 10 * time.Second
)

// Config says what a Service works with.
type Config struct {
	Callers   *nats.Conn // answers callers, and may publish nothing but replies
	Node      *nats.Conn // of the node's identity, to ask executors
	Scheduler *scheduler.Scheduler
	Log       eventlog.Log
	Version   string // a semantic version
	// Status fills what the scheduler does not know of cluster.status.
	Status func(context.Context, *api.ClusterStatus)
	Output Output // what did not fit a run's events, or is not in one yet; nil if nothing keeps it
	Logger *slog.Logger
}

// Service answers the API.
type Service struct {
	cfg   Config
	micro micro.Service
	calls chan call     // to a worker that is idle
	slots chan struct{} // one for each worker
	waits chan struct{} // one for each request that waits for an end
	quit  chan struct{}
	busy  sync.WaitGroup

	verifications verifications
}

// request is one call on its way.
type request struct {
	user  string
	id    string // from the header; "" if none
	cause string // the id, or a generated one
	body  []byte
}

// verb answers a request with something to be written as JSON.
type verb func(*Service, context.Context, *request) (any, *api.Error)

// verbs is the API, by entity.verb.
func verbs() map[string]verb {
	return map[string]verb{
		"function.create": (*Service).functionCreate, "function.get": (*Service).functionGet,
		"function.list": (*Service).functionList, "function.update": (*Service).functionUpdate,
		"function.delete": (*Service).functionDelete, "function.versions": (*Service).functionVersions,

		"user.create": (*Service).userCreate, "user.get": (*Service).userGet, "user.list": (*Service).userList,
		"user.update": (*Service).userUpdate, "user.delete": (*Service).userDelete,

		"function.run": (*Service).functionRun,

		"trigger.create": (*Service).triggerCreate, "trigger.get": (*Service).triggerGet,
		"trigger.list": (*Service).triggerList, "trigger.update": (*Service).triggerUpdate,
		"trigger.delete": (*Service).triggerDelete, "trigger.pause": (*Service).triggerPause,
		"trigger.resume": (*Service).triggerResume, "trigger.run": (*Service).triggerRun,
		"trigger.preview": (*Service).triggerPreview,

		"automation.create": (*Service).automationCreate, "automation.get": (*Service).automationGet,
		"automation.list": (*Service).automationList, "automation.update": (*Service).automationUpdate,
		"automation.delete": (*Service).automationDelete, "automation.run": (*Service).automationRun,

		"item.create": (*Service).itemCreate, "item.create_many": (*Service).itemCreateMany,
		"item.get": (*Service).itemGet, "item.list": (*Service).itemList,
		"item.update": (*Service).itemUpdate, "item.cancel": (*Service).itemCancel,

		"run.get": (*Service).runGet, "run.list": (*Service).runList,
		"run.logs": (*Service).runLogs, "run.cancel": (*Service).runCancel,

		"cluster.status": (*Service).clusterStatus,
		"audit.events":   (*Service).auditEvents, "audit.at": (*Service).auditAt,
		"audit.verify": (*Service).auditVerify,
	}
}

// New makes a service that does not answer yet.
func New(cfg Config) *Service {
	return &Service{cfg: cfg, calls: make(chan call), slots: make(chan struct{}, requestsMax), waits: make(chan struct{}, waitsMax), quit: make(chan struct{}), verifications: verifications{slot: make(chan struct{}, 1)}}
}

// Start registers the micro service and begins to answer.
func (s *Service) Start() error {
	registered, err := micro.AddService(s.cfg.Callers, micro.Config{
		Name: api.Service, Version: s.cfg.Version,
		Description: "runs stored Python functions when they are due",
	})
	if err != nil {
		return fmt.Errorf("register the API: %w", err)
	}
	s.micro = registered
	table := verbs()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		entity, action := split(name)
		err := registered.AddEndpoint(entity+"-"+action, s.endpoint(table[name]), micro.WithEndpointSubject(api.Subject("*", entity, action)))
		if err != nil {
			return fmt.Errorf("register %s: %w", name, err)
		}
	}
	return s.cfg.Callers.Flush()
}

// Stop takes no more requests, lets those under way end, and returns.
func (s *Service) Stop() {
	if s.micro != nil {
		if err := s.micro.Stop(); err != nil {
			s.cfg.Logger.Warn("the API did not stop cleanly", "error", err)
		}
	}
	close(s.quit)
	s.busy.Wait()
}

// call is a request as it came in.
type call struct {
	do                 verb
	subject, reply, id string
	body               []byte
}

// endpoint hands calls over to workers: micro itself calls one at a time.
func (s *Service) endpoint(do verb) micro.Handler {
	return micro.HandlerFunc(func(r micro.Request) {
		c := call{do, r.Subject(), r.Reply(), nats.Header(r.Headers()).Get(api.HeaderRequestID), r.Data()}
		select {
		case s.calls <- c: // a worker is idle
			return
		default:
		}
		select {
		case s.calls <- c:
		case s.slots <- struct{}{}:
			s.busy.Go(func() { s.work(c) })
		case <-s.quit:
		}
	})
}

// work answers calls until there are none for a while. Workers are kept, since
// a goroutine that is new grows its stack anew, which costs as much as reading
// the request.
func (s *Service) work(c call) {
	defer func() { <-s.slots }()
	idle := time.NewTimer(workerIdle)
	defer idle.Stop()
	for {
		s.answer(c)
		idle.Reset(workerIdle)
		select {
		case c = <-s.calls:
		case <-idle.C:
			return
		case <-s.quit:
			return
		}
	}
}

func (s *Service) answer(c call) {
	subject, reply := c.subject, c.reply
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var answer any
	r, refused := newRequest(subject, c.id, c.body)
	if refused == nil {
		answer, refused = c.do(s, ctx, r)
	}
	m := nats.NewMsg(reply)
	var err error
	if refused == nil {
		if m.Data, err = json.Marshal(answer, json.Deterministic(true)); err != nil {
			refused = api.Errorf(api.Internal, "", "the answer cannot be written: %v", err)
		}
	}
	if limit := s.cfg.Callers.MaxPayload(); int64(len(m.Data)) > limit-headerBytesMax {
		refused = api.Errorf(api.TooLarge, "", "the answer has %d bytes, more than NATS carries; what was asked is done: read it in parts", len(m.Data))
	}
	if refused != nil {
		if refused.Code == api.Internal {
			s.cfg.Logger.Error("a request failed", "subject", subject, "error", refused)
		}
		m.Header.Set(api.HeaderError, refused.Message)
		m.Header.Set(api.HeaderErrorCode, fmt.Sprint(refused.Code.Status()))
		m.Data, _ = json.Marshal(api.ErrorBody{Error: refused}) // strings only
	}
	if reply == "" {
		return // nobody listens; it is done all the same
	}
	if err := s.cfg.Callers.PublishMsg(m); err != nil {
		s.cfg.Logger.Warn("a reply could not be sent", "subject", subject, "error", err)
	}
}

func newRequest(subject, id string, body []byte) (*request, *api.Error) {
	r := &request{user: api.UserOf(subject), id: id, cause: id, body: body}
	if id == "" {
		r.cause = eventlog.GeneratedCause + ulid.Make().String()
		return r, nil
	}
	if len(id) > api.RequestIDLengthMax || id[:1] == eventlog.GeneratedCause || !printable(id) {
		return nil, api.Errorf(api.Invalid, api.HeaderRequestID, "a request id has 1 to %d visible ASCII characters and does not begin with %s", api.RequestIDLengthMax, eventlog.GeneratedCause)
	}
	return r, nil
}

func printable(s string) bool {
	for n := range len(s) {
		if s[n] <= ' ' || s[n] > '~' {
			return false
		}
	}
	return true
}
