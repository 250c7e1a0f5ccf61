package broker

import (
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The accounts, one for each circle of trust.
const (
	accountNode      = "BELFRY"
	accountCallers   = "CALLERS"
	accountExecutors = "EXECUTORS"
	accountSystem    = "SYS"
)

// walls says which subjects pass from one account to another, in the server's
// own language. A service carries a request, and its reply back into the
// account that asked. A stream carries messages one way, which is three times
// cheaper: what flows for every run is one.
//
// CALLERS imports $JS.API.INFO, which no caller may ask, because the server
// gives an account without this import all of $JS.API from the system account,
// where the answer is that it has no JetStream. PREFIX is that of the subjects, and
// STREAM of the streams.
const walls = `
accounts {
  SYS {}
  BELFRY {
    jetstream: enabled
    exports: [
      {service: "$JS.API.INFO", accounts: [CALLERS]}
      {service: "$JS.API.STREAM.INFO.STREAM_EVENTS",    accounts: [CALLERS]}
      {service: "$JS.API.STREAM.MSG.GET.STREAM_EVENTS", accounts: [CALLERS]}
      {stream:  "PREFIX.run.*.*",  accounts: [EXECUTORS]}
      {stream:  "PREFIX.exec.*.*", accounts: [EXECUTORS]}
      {service: "PREFIX.logs.>",   accounts: [EXECUTORS]}
      {service: "_INBOX_NODE.>",   accounts: [EXECUTORS]}
    ]
    imports: [
      {stream: {account: EXECUTORS, subject: "PREFIX.announce.*"}}
      {stream: {account: EXECUTORS, subject: "PREFIX.result.*.*"}}
      {stream: {account: EXECUTORS, subject: "PREFIX.schedule.*.*"}}
    ]
  }
  CALLERS {
    imports: [
      {service: {account: BELFRY, subject: "$JS.API.INFO"}}
      {service: {account: BELFRY, subject: "$JS.API.STREAM.INFO.STREAM_EVENTS"}}
      {service: {account: BELFRY, subject: "$JS.API.STREAM.MSG.GET.STREAM_EVENTS"}}
    ]
  }
  EXECUTORS {
    exports: [
      {stream: "PREFIX.announce.*", accounts: [BELFRY]}
      {stream: "PREFIX.result.*.*", accounts: [BELFRY]}
      {stream: "PREFIX.schedule.*.*", accounts: [BELFRY]}
    ]
    imports: [
      {stream:  {account: BELFRY, subject: "PREFIX.run.*.*"}}
      {stream:  {account: BELFRY, subject: "PREFIX.exec.*.*"}}
      {service: {account: BELFRY, subject: "PREFIX.logs.>"}}
      {service: {account: BELFRY, subject: "_INBOX_NODE.>"}}
    ]
  }
}
system_account: SYS
`

// wallsOf are the walls of a Belfry with this prefix, which is valid.
func wallsOf(prefix string) string {
	return strings.NewReplacer("PREFIX.", prefix+".", "STREAM_", strings.ToUpper(prefix)+"_").Replace(walls)
}

// Inbox prefixes. An executor's is inboxExecutor + its name; as names have no
// capitals, none can be the node's.
const (
	inboxNode     = "_INBOX_NODE"
	inboxExecutor = "_INBOX_"
	inboxCaller   = "_INBOX"
)

// replyWithin bounds how long an executor may take to answer a request.
const replyWithin = 30 * time.Second

func servicePermissions(p string) *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{inboxCaller + ".>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{p + ".api.>", "$SRV.>"}},
	}
}

func callerPermissions(p string) *server.Permissions {
	stream := strings.ToUpper(p) + "_EVENTS"
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			p + ".api.>",
			"$SRV.>",
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.STREAM.MSG.GET." + stream,
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{inboxCaller + ".>"}},
	}
}

// executorPermissions trusts that name is valid.
func executorPermissions(p, name string) *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			p + ".announce." + name,
			p + ".result." + name + ".*",
			p + ".schedule." + name + ".*",
			p + ".logs." + name + ".>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			p + ".run.*." + name,
			p + ".exec." + name + ".>",
			inboxExecutor + name + ".>",
		}},
		Response: &server.ResponsePermission{MaxMsgs: 1, Expires: replyWithin},
	}
}
