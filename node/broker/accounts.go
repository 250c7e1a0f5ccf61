package broker

import (
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
// where the answer is that it has no JetStream.
const walls = `
accounts {
  SYS {}
  BELFRY {
    jetstream: enabled
    exports: [
      {service: "$JS.API.INFO", accounts: [CALLERS]}
      {service: "$JS.API.STREAM.INFO.BELFRY_EVENTS",    accounts: [CALLERS]}
      {service: "$JS.API.STREAM.MSG.GET.BELFRY_EVENTS", accounts: [CALLERS]}
      {stream:  "belfry.run.*.*",  accounts: [EXECUTORS]}
      {stream:  "belfry.exec.*.*", accounts: [EXECUTORS]}
      {service: "belfry.logs.>",   accounts: [EXECUTORS]}
      {service: "_INBOX_NODE.>",   accounts: [EXECUTORS]}
    ]
    imports: [
      {stream: {account: EXECUTORS, subject: "belfry.announce.*"}}
      {stream: {account: EXECUTORS, subject: "belfry.result.*.*"}}
      {stream: {account: EXECUTORS, subject: "belfry.schedule.*.*"}}
    ]
  }
  CALLERS {
    imports: [
      {service: {account: BELFRY, subject: "$JS.API.INFO"}}
      {service: {account: BELFRY, subject: "$JS.API.STREAM.INFO.BELFRY_EVENTS"}}
      {service: {account: BELFRY, subject: "$JS.API.STREAM.MSG.GET.BELFRY_EVENTS"}}
    ]
  }
  EXECUTORS {
    exports: [
      {stream: "belfry.announce.*", accounts: [BELFRY]}
      {stream: "belfry.result.*.*", accounts: [BELFRY]}
      {stream: "belfry.schedule.*.*", accounts: [BELFRY]}
    ]
    imports: [
      {stream:  {account: BELFRY, subject: "belfry.run.*.*"}}
      {stream:  {account: BELFRY, subject: "belfry.exec.*.*"}}
      {service: {account: BELFRY, subject: "belfry.logs.>"}}
      {service: {account: BELFRY, subject: "_INBOX_NODE.>"}}
    ]
  }
}
system_account: SYS
`

// Inbox prefixes. An executor's is inboxExecutor + its name; as names have no
// capitals, none can be the node's.
const (
	inboxNode     = "_INBOX_NODE"
	inboxExecutor = "_INBOX_"
	inboxCaller   = "_INBOX"
)

// replyWithin bounds how long an executor may take to answer a request.
const replyWithin = 30 * time.Second

func servicePermissions() *server.Permissions {
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{inboxCaller + ".>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"belfry.api.>", "$SRV.>"}},
	}
}

func callerPermissions() *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"belfry.api.>",
			"$SRV.>",
			"$JS.API.STREAM.INFO.BELFRY_EVENTS",
			"$JS.API.STREAM.MSG.GET.BELFRY_EVENTS",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{inboxCaller + ".>"}},
	}
}

// executorPermissions trusts that name is valid.
func executorPermissions(name string) *server.Permissions {
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			"belfry.announce." + name,
			"belfry.result." + name + ".*",
			"belfry.schedule." + name + ".*",
			"belfry.logs." + name + ".>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{
			"belfry.run.*." + name,
			"belfry.exec." + name + ".>",
			inboxExecutor + name + ".>",
		}},
		Response: &server.ResponsePermission{MaxMsgs: 1, Expires: replyWithin},
	}
}
