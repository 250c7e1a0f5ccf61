package check

import "bytes"

// content is what a trigger hands to its runs, as far as events said it; nil
// and "": they did not.
type content struct {
	name, runner string
	data, retry  []byte
}

// change takes over what an event of the trigger says.
func (c *content) change(e *Event) {
	d := &e.Data
	if d.Name != nil {
		c.name = *d.Name
	}
	if e.verb == "created" {
		c.runner = e.Actor
	}
	if d.RunningUser != nil && *d.RunningUser != "" {
		c.runner = *d.RunningUser
	}
	if d.Data != nil {
		c.data = bytes.Clone(d.Data)
	}
	if d.Retry != nil {
		c.retry = bytes.Clone(d.Retry)
	}
}

// current judges C6 of what fires: it is what the trigger's current revision
// says, as far as the event repeats it.
func (v *Verdict) current(t *Trigger, e *Event) {
	d, c := &e.Data, &t.content
	differs := func(field string, has, want any) {
		v.object("C6", e.place(), "trigger %s at %d fires with %s %s, its current revision says %s", t.ID, e.Seq, field, has, want)
	}
	if target := d.target(); target != t.target {
		v.object("C6", e.place(), "trigger %s at %d fires %s, it runs %s", t.ID, e.Seq, target, t.target)
	}
	if d.Name != nil && *d.Name != c.name {
		differs("name", *d.Name, c.name)
	}
	if d.RunningUser != nil && c.runner != "" && *d.RunningUser != c.runner {
		differs("running_user", *d.RunningUser, c.runner)
	}
	if !bytes.Equal(plain(d.Data), plain(c.data)) {
		differs("data", plain(d.Data), plain(c.data))
	}
	if !bytes.Equal(d.Retry, c.retry) {
		differs("retry", d.Retry, c.retry)
	}
}

// plain is data without the difference between none and an empty object.
func plain(data []byte) []byte {
	if s := string(data); s == "{}" || s == "null" {
		return nil
	}
	return data
}
