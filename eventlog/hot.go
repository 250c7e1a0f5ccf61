package eventlog

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// writer is a payload that writes its own JSON: those that every run has, for which the general way takes most of the time that a decider
// spends on an event. The bytes are the same; a test compares them.
type writer interface {
	appendJSON(b []byte) ([]byte, error)
}

// appendData appends a payload.
func appendData(b []byte, p Payload) ([]byte, error) {
	if w, ok := p.(writer); ok {
		return w.appendJSON(b)
	}
	data, err := marshal(p)
	return append(b, data...), err
}

// marshal is the general way. Deterministic, since an event is the same bytes
// on every replica.
func marshal(v any) ([]byte, error) {
	return json.Marshal(v, jsontext.AllowInvalidUTF8(true), json.Deterministic(true))
}

func (d *ItemCreated) appendJSON(b []byte) (_ []byte, err error) {
	b = appendString(append(b, `{"name":`...), d.Name)
	b = appendTime(append(b, `,"run_date_time":`...), d.RunDateTime)
	b = appendRef(b, `,"function":{"id":`, d.Function)
	if d.Data != nil {
		if b, err = appendValue(append(b, `,"data":`...), d.Data); err != nil {
			return b, err
		}
	}
	if d.RunningUser != "" {
		b = appendString(append(b, `,"running_user":`...), d.RunningUser)
	}
	if d.Priority != 0 {
		b = strconv.AppendInt(append(b, `,"priority":`...), int64(d.Priority), 10)
	}
	if d.Retry != nil {
		var retry []byte
		if retry, err = marshal(d.Retry); err != nil {
			return b, err
		}
		b = append(append(b, `,"retry":`...), retry...)
	}
	b = appendRef(b, `,"automation":{"id":`, d.Automation)
	if d.ScheduledBy != "" {
		b = appendString(append(b, `,"scheduled_by":`...), d.ScheduledBy)
	}
	return append(b, '}'), nil
}

// appendRef appends a reference that is set, after its field's name.
func appendRef(b []byte, field string, r Ref) []byte {
	if r == (Ref{}) {
		return b
	}
	b = appendString(append(b, field...), r.ID)
	if r.Name != "" {
		b = appendString(append(b, `,"name":`...), r.Name)
	}
	return append(b, '}')
}

func (d *RunClaimed) appendJSON(b []byte) ([]byte, error) { return (*ItemClaimed)(d).appendJSON(b) }

func (d *RunCompleted) appendJSON(b []byte) ([]byte, error) { return (*ItemCompleted)(d).appendJSON(b) }

func (d *ItemClaimed) appendJSON(b []byte) ([]byte, error) {
	b = d.appendFields(append(b, '{'))
	b = appendString(append(b, `"incarnation":`...), d.Incarnation)
	b = appendString(append(b, `,"pool":`...), d.Pool)
	return append(b, '}'), nil
}

func (d *ItemCompleted) appendJSON(b []byte) (_ []byte, err error) {
	b = d.RunHead.appendFields(append(b, '{'))
	if b, err = d.Ended.appendFields(b); err != nil {
		return b, err
	}
	b, err = appendValue(append(b, `"result":`...), d.Result)
	return append(b, '}'), err
}

// appendFields appends the fields that are set, each with a comma after it.
func (h *RunHead) appendFields(b []byte) []byte {
	if h.Run != "" {
		b = append(appendString(append(b, `"run":`...), h.Run), ',')
	}
	if h.Attempt != 0 {
		b = append(strconv.AppendInt(append(b, `"attempt":`...), int64(h.Attempt), 10), ',')
	}
	if h.ScheduledFor != 0 {
		b = append(appendTime(append(b, `"scheduled_for":`...), h.ScheduledFor), ',')
	}
	if h.Executor != "" {
		b = append(appendString(append(b, `"executor":`...), h.Executor), ',')
	}
	return b
}

// appendFields appends the fields that are set, each with a comma after it.
func (d *Ended) appendFields(b []byte) (_ []byte, err error) {
	if d.FunctionVersion != 0 {
		b = append(strconv.AppendInt(append(b, `"function_version":`...), int64(d.FunctionVersion), 10), ',')
	}
	if d.Started != 0 {
		b = append(appendTime(append(b, `"started_date":`...), d.Started), ',')
	}
	if d.Finished != 0 {
		b = append(appendTime(append(b, `"finished_date":`...), d.Finished), ',')
	}
	if d.LatenessMS != 0 {
		if b, err = appendFloat(append(b, `"lateness_ms":`...), d.LatenessMS); err != nil {
			return b, err
		}
		b = append(b, ',')
	}
	if d.Logs != nil {
		logs, err := marshal(d.Logs)
		if err != nil {
			return b, err
		}
		b = append(append(append(b, `"logs":`...), logs...), ',')
	}
	if d.LogsTruncated {
		b = append(b, `"logs_truncated":true,`...)
	}
	if d.Sandbox != "" {
		b = append(appendString(append(b, `"sandbox":`...), string(d.Sandbox)), ',')
	}
	if d.Stopped != "" {
		b = append(appendString(append(b, `"stopped":`...), string(d.Stopped)), ',')
	}
	return b, nil
}

// appendValue appends JSON without its spaces, after checking it.
func appendValue(b []byte, v jsontext.Value) ([]byte, error) {
	if v == nil {
		return append(b, "null"...), nil
	}
	return jsontext.AppendFormat(b, v, jsontext.AllowInvalidUTF8(true))
}

// appendFloat appends f as JSON does: the far ends of its range in the general
// way, which has rules of its own for them.
func appendFloat(b []byte, f float64) ([]byte, error) {
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64), nil
	}
	text, err := marshal(f)
	return append(b, text...), err
}

// appendTime appends t in TimeLayout and quotes. It is AppendText without the
// reading of a layout.
func appendTime(b []byte, t Time) []byte {
	std := t.Std()
	year, month, day := std.Date()
	hour, minute, second := std.Clock()
	b = appendDigits(append(b, '"'), year, 4)
	b = appendDigits(append(b, '-'), int(month), 2)
	b = appendDigits(append(b, '-'), day, 2)
	b = appendDigits(append(b, 'T'), hour, 2)
	b = appendDigits(append(b, ':'), minute, 2)
	b = appendDigits(append(b, ':'), second, 2)
	b = appendDigits(append(b, '.'), std.Nanosecond()/int(time.Millisecond), 3)
	return append(b, 'Z', '"')
}

// appendDigits appends the last digits of n.
func appendDigits(b []byte, n, digits int) []byte {
	b = append(b, "0000"[:digits]...)
	for i := len(b) - 1; i >= len(b)-digits; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
