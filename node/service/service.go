package service

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/belfryhq/belfry/eventlog"
	"github.com/belfryhq/belfry/exec/wire"
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
	// drainEvery is how often is looked whether all that was asked is taken.
	drainEvery = 10 * time.Millisecond
	// replyBytesMax leaves room for a reply's headers beside its body.
	replyBytesMax = api.RequestBytesMax - 4096
)

// Config says what a Service works with.
type Config struct {
	// Callers answers callers, and may publish nothing but replies; nothing else
	// subscribes on it. nil: there are none but those who Ask.
	Callers *nats.Conn
	Node    Nodes // asks executors, and other nodes
	// Prefix of all subjects. Defaults to wire.DefaultPrefix.
	Prefix wire.Prefix
	// Name is this node's, where there are others: what they decide is passed on
	// to them. "": there are none.
	Name string
	// Listen has handle called for each message, one at a time, until stop; of the
	// node's identity. Needed with Name.
	Listen    func(subject string, handle func(*nats.Msg)) (stop func(), err error)
	Scheduler *scheduler.Scheduler
	Log       eventlog.Log
	Version   string // a semantic version
	// Status fills what the scheduler does not know of cluster.status.
	Status func(context.Context, *api.ClusterStatus)
	// Members changes who the nodes are; nil refuses it, as a node alone does.
	Members Members
	Output  Output // what did not fit a run's events, or is not in one yet; nil if nothing keeps it
	Logger  *slog.Logger
}

// Service answers the API.
type Service struct {
	cfg   Config
	micro micro.Service
	asked workers       // for callers
	hops  workers       // for other nodes
	waits chan struct{} // one for each request that waits for an end
	quit  chan struct{}
	busy  sync.WaitGroup
	deaf  func() // ends the hearing of other nodes

	verifications verifications
}

// request is one call on its way.
type request struct {
	verb  string // entity.verb
	user  string
	id    string // from the header; "" if none
	cause string // the id, or a generated one
	body  []byte

	hop    bool     // another node asks: it is not passed on again
	items  *big.Int // of a create_many over a hop: the places asked for
	stored *bool    // something of it is stored, whatever it is told
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

		"cluster.status": (*Service).clusterStatus, "cluster.remove": (*Service).clusterRemove,
		"cluster.transfer": (*Service).clusterTransfer,
		"audit.events":     (*Service).auditEvents, "audit.at": (*Service).auditAt,
		"audit.verify": (*Service).auditVerify,
	}
}

// New makes a service that does not answer yet.
func New(cfg Config) *Service {
	return &Service{
		cfg: cfg, asked: newWorkers(), hops: newWorkers(), waits: make(chan struct{}, waitsMax), quit: make(chan struct{}),
		deaf: func() {}, verifications: verifications{slot: make(chan struct{}, 1)},
	}
}

// Start begins to answer other nodes, registers the micro service, which is one
// for all nodes, and begins to answer callers.
func (s *Service) Start() error {
	if err := s.join(); err != nil {
		return err
	}
	if s.cfg.Callers == nil {
		return nil
	}
	registered, err := micro.AddService(s.cfg.Callers, micro.Config{
		Name: s.subjects().Service(), Version: s.cfg.Version,
		Description: "runs stored Python functions when they are due",
	})
	if err != nil {
		return fmt.Errorf("register the API: %w", err)
	}
	s.micro = registered
	table := verbs()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if err := s.register(name, table[name]); err != nil {
			return fmt.Errorf("register %s: %w", name, err)
		}
	}
	return s.cfg.Callers.Flush()
}

// subjects are those of callers.
func (s *Service) subjects() api.SubjectPrefix { return api.SubjectPrefix(s.cfg.Prefix) }

// register has a verb answered: for callers of whatever node, as one of all that
// answer, and for those of this node apart. Both are endpoints, so that both are
// counted.
func (s *Service) register(name string, do verb) error {
	entity, action := split(name)
	endpoint := entity + "-" + action
	err := s.micro.AddEndpoint(endpoint, s.endpoint(name, do), micro.WithEndpointSubject(s.subjects().Subject("*", entity, action)))
	if err != nil || s.cfg.Name == "" {
		return err
	}
	return s.micro.AddEndpoint(endpoint+"-local", s.endpoint(name, do),
		micro.WithEndpointSubject(s.subjects().LocalSubject(s.cfg.Name, "*", entity, action)), micro.WithEndpointQueueGroupDisabled())
}

// join has other nodes ask this one.
func (s *Service) join() error {
	if s.cfg.Name == "" {
		return nil
	}
	stop, err := s.cfg.Listen(s.hopSubject(s.cfg.Name, "*.*"), s.hear(verbs()))
	if err != nil {
		return fmt.Errorf("listen to other nodes: %w", err)
	}
	s.deaf = stop
	return nil
}

// Stop takes no more requests, lets those under way end, and returns.
func (s *Service) Stop() {
	if s.micro != nil {
		if err := s.micro.Stop(); err != nil {
			s.cfg.Logger.Warn("the API did not stop cleanly", "error", err)
		}
		s.drain()
	}
	s.deaf()
	close(s.quit)
	s.busy.Wait()
}

// drain returns when what was asked is with a worker: whoever asked can go on at
// another node, and so would only wait. With a node alone there is none.
func (s *Service) drain() {
	if s.cfg.Name == "" {
		return
	}
	until := time.Now().Add(deadline)
	for s.cfg.Callers.NumSubscriptions() > 0 && time.Now().Before(until) {
		time.Sleep(drainEvery)
	}
}

// endpoint hands calls over to workers: micro itself calls one at a time.
func (s *Service) endpoint(name string, do verb) micro.Handler {
	return micro.HandlerFunc(func(m micro.Request) {
		subject, reply, body := m.Subject(), m.Reply(), m.Data()
		id := nats.Header(m.Headers()).Get(api.HeaderRequestID)
		s.asked.take(s, func() { s.answer(name, do, subject, reply, id, body) })
	})
}

func (s *Service) answer(name string, do verb, subject, reply, id string, body []byte) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var answer any
	r, refused := s.newRequest(name, api.UserOf(subject), id, body)
	if refused == nil {
		answer, refused = s.route(ctx, r, do)
	}
	m := s.write(subject, reply, answer, refused)
	if reply == "" {
		return // nobody listens; it is done all the same
	}
	if err := s.cfg.Callers.PublishMsg(m); err != nil {
		s.cfg.Logger.Warn("a reply could not be sent", "subject", subject, "error", err)
	}
}

// Ask answers a request without NATS, as if a caller had sent it: for whoever is
// in this process. The answer is JSON; cause is under what its events stand.
func (s *Service) Ask(ctx context.Context, name, user, id string, body []byte) (answer []byte, cause string, refused *api.Error) {
	do := verbs()[name]
	if do == nil {
		return nil, "", api.Errorf(api.NotFound, "", "there is no %q: see the API", name)
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	r, refused := s.newRequest(name, user, id, body)
	if refused != nil {
		return nil, "", refused
	}
	record, refused := s.route(ctx, r, do)
	if refused != nil {
		return nil, r.cause, refused
	}
	answer, err := json.Marshal(record, json.Deterministic(true))
	if err != nil {
		return nil, r.cause, unwritable(err)
	}
	return answer, r.cause, nil
}

// write makes the message of an answer.
func (s *Service) write(subject, reply string, answer any, refused *api.Error) *nats.Msg {
	m := nats.NewMsg(reply)
	var err error
	if refused == nil {
		if m.Data, err = json.Marshal(answer, json.Deterministic(true)); err != nil {
			refused = unwritable(err)
		}
	}
	if len(m.Data) > replyBytesMax {
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
	return m
}

func unwritable(err error) *api.Error {
	return api.Errorf(api.Internal, "", "the answer cannot be written: %v", err)
}

func (s *Service) newRequest(name, user, id string, body []byte) (*request, *api.Error) {
	r := &request{verb: name, user: user, id: id, cause: id, body: body, stored: new(bool)}
	if id == "" {
		r.cause = s.cfg.Scheduler.DrawCause()
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
