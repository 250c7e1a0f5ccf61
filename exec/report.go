package exec

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/exec/wire"
)

// report makes the CloudEvent that says how an attempt ended: a wire.Report.
// It is written by hand, since every run has one; a test holds it against the
// type. What few runs have, errors and output, is encoded as usual.
func (s *session) report(r *wire.Run, ended Ended, out *output) []byte {
	if ended.Result != nil && !ended.Result.IsValid() { // no worker of ours sends such a one
		s.log.Error("a result is not valid JSON", "run", r.Run, "attempt", r.Attempt)
		ended.Kind, ended.Result = wire.Failed, nil
		ended.Error = &wire.Error{Type: "ResultNotJSON", Message: "the result is not valid JSON"}
	}
	b := make([]byte, 0, 640+len(ended.Result))
	b = append(b, `{"specversion":"1.0","id":`...)
	b = appendText(b, s.incarnation+"/"+r.Run+"/"+strconv.Itoa(r.Attempt))
	b = append(b, `,"source":`...)
	b = appendText(b, "/belfry/exec/"+s.cfg.Name)
	b = append(b, `,"type":"`+wire.ReportType+`","subject":`...)
	b = appendText(b, r.Run)
	b = appendTime(append(b, `,"time":`...), ended.Finished)
	b = append(b, `,"data":{"stream":`...)
	b = appendText(b, r.Stream)
	b = append(b, `,"incarnation":`...)
	b = appendText(b, s.incarnation)
	b = append(b, `,"partition":`...)
	b = strconv.AppendInt(b, int64(r.Partition), 10)
	b = append(b, `,"run":`...)
	b = appendText(b, r.Run)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(r.Attempt), 10)
	b = append(b, `,"kind":`...)
	b = appendText(b, string(ended.Kind))
	b = append(b, `,"function_version":`...)
	b = strconv.AppendInt(b, int64(r.Version), 10)
	if !ended.Started.IsZero() {
		b = appendTime(append(b, `,"started":`...), ended.Started)
	}
	b = appendTime(append(b, `,"finished":`...), ended.Finished)
	if ended.Result != nil {
		b = append(append(b, `,"result":`...), ended.Result...)
	}
	if ended.Error != nil {
		b = s.appendValue(append(b, `,"error":`...), ended.Error)
	}
	if out != nil {
		b = s.appendOutput(b, out)
	}
	if ended.Sandbox != "" {
		b = appendText(append(b, `,"sandbox":`...), ended.Sandbox)
	}
	if ended.Stopped != "" {
		b = appendText(append(b, `,"stopped":`...), ended.Stopped)
	}
	return append(b, `}}`...)
}

func (s *session) appendOutput(b []byte, out *output) []byte {
	if len(out.inline) > 0 {
		b = s.appendValue(append(b, `,"logs":`...), out.inline)
	}
	if out.spilled {
		b = append(b, `,"logs_truncated":true`...)
	}
	if out.bytes > 0 {
		b = strconv.AppendInt(append(b, `,"log_bytes":`...), out.bytes, 10)
	}
	return b
}

// appendValue appends what a Runtime said; text that is no UTF-8 is mended.
func (s *session) appendValue(b []byte, v any) []byte {
	data, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		s.log.Error("a report is incomplete", "error", err)
		return append(b, `null`...)
	}
	return append(b, data...)
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

// appendText appends a string as JSON. What is not UTF-8 in it becomes
// U+FFFD: that is all that the error says.
func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// publishReport sends a report; nil is none.
func (s *session) publishReport(partition int, report []byte) {
	if report != nil {
		s.publish(s.cfg.Prefix.ReportSubject(s.cfg.Name, partition), report)
	}
}

// publish sends without waiting. What is lost is sent again (reports,
// announcements) or missed by people only (output).
func (s *session) publish(subject string, data []byte) {
	if err := s.bus.Publish(subject, data); err != nil {
		s.log.Debug("not published", "subject", subject, "error", err)
		s.mu.Lock()
		s.stats.unpublished++
		s.mu.Unlock()
	}
}
