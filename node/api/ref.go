package api

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/eventlog"
)

var errRef = errors.New(`a reference is an id, a name, or {"id": "…"}`)

// UnmarshalJSONFrom reads any of the forms of a reference. Of an object only
// the id counts; a name beside it (as records show it) is allowed.
func (r *RefInput) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	kind := d.PeekKind()
	if kind == jsontext.KindString {
		r.IsID = false
		return json.UnmarshalDecode(d, &r.IDOrName)
	}
	if kind == jsontext.KindBeginObject {
		var ref struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		}
		if err := json.UnmarshalDecode(d, &ref, json.RejectUnknownMembers(true)); err != nil {
			return err
		}
		if ref.ID == "" {
			return errRef
		}
		r.IDOrName, r.IsID = ref.ID, true
		return nil
	}
	if err := d.SkipValue(); err != nil {
		return err
	}
	return errRef
}

// MarshalJSONTo writes the shorter form.
func (r RefInput) MarshalJSONTo(e *jsontext.Encoder) error {
	if r.IsID {
		return json.MarshalEncode(e, eventlog.Ref{ID: r.IDOrName})
	}
	return e.WriteToken(jsontext.String(r.IDOrName))
}

// MarshalJSONTo writes the record, or {"error": …}.
func (r ItemResult) MarshalJSONTo(e *jsontext.Encoder) error {
	if r.Error != nil {
		return json.MarshalEncode(e, ErrorBody{r.Error})
	}
	return json.MarshalEncode(e, r.Item)
}

// UnmarshalJSONFrom reads what MarshalJSONTo wrote.
func (r *ItemResult) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	raw, err := d.ReadValue()
	if err != nil {
		return err
	}
	var refused ErrorBody
	if err := json.Unmarshal(raw, &refused); err == nil && refused.Error != nil && refused.Error.Code != "" {
		r.Error = refused.Error
		return nil
	}
	r.Item = new(Item)
	return json.Unmarshal(raw, r.Item)
}
