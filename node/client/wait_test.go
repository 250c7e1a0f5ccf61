package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/belfryhq/belfry/node/api"
)

func TestWaitItemAsksAtGrowingIntervalsUntilTheItemEnded(t *testing.T) {
	inBubble(t, func(n int, _ *nats.Msg) *nats.Msg {
		if n < 12 {
			return says(`{"id":"sci_1","status":"Processing"}`)
		}
		return says(`{"id":"sci_1","status":"Completed","result":42}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		item, err := c.WaitItem(t.Context(), "sci_1")
		if err != nil || item.Status != api.Completed || string(item.Result) != "42" {
			t.Fatalf("item %+v, %v", item, err)
		}
		first, last := b.pause(1), b.pause(12)
		if first < 25*time.Millisecond || first > 75*time.Millisecond {
			t.Errorf("the first pause was %v, want about 50 ms", first)
		}
		if last < 250*time.Millisecond || last > 750*time.Millisecond {
			t.Errorf("the last pause was %v, want about 500 ms", last)
		}
	})
}

func TestWaitItemWaitsThroughAnOutage(t *testing.T) {
	inBubble(t, func(n int, _ *nats.Msg) *nats.Msg {
		if n < 20 {
			return refuses("unavailable", "503", `{"error":{"code":"unavailable","message":"no leader"}}`)
		}
		return says(`{"id":"sci_1","status":"Failed"}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		if item, err := c.WaitItem(t.Context(), "sci_1"); err != nil || item.Status != api.Failed {
			t.Errorf("item %+v, %v", item, err)
		}
	})
}

func TestWaitItemEndsWithARefusal(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg {
		return refuses("not_found", "404", `{"error":{"code":"not_found","message":"there is no item"}}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		_, err := c.WaitItem(t.Context(), "sci_1")
		if got := refusal(t, err); got.Code != api.NotFound {
			t.Errorf("refusal %+v", got)
		}
	})
}

func TestWaitItemGivesTheItemAsLastSeenWhenItsTimeIsOver(t *testing.T) {
	inBubble(t, func(int, *nats.Msg) *nats.Msg { return says(`{"id":"sci_1","status":"Queued"}`) }, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		item, err := c.WaitItem(ctx, "sci_1")
		if item.Status != api.Queued || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("item %+v, %v", item, err)
		}
	})
}

// growingLog answers audit.events from a log that has one more commit, of one
// event, with each request; its front is there from the start. Pages hold two.
func growingLog(n int, msg *nats.Msg) *nats.Msg {
	after := 0
	if _, cursor, found := strings.Cut(string(msg.Data), `"after":"`); found {
		_, _ = fmt.Sscanf(cursor, "%d", &after)
	}
	have := n + 4
	var events []string
	for seq := after + 1; seq <= have && len(events) < 2; seq++ {
		events = append(events, fmt.Sprintf(`{"id":"e%d","seq":%d}`, seq, seq))
	}
	next := ""
	if end := after + len(events); end < have {
		next = fmt.Sprint(end)
	}
	return says(fmt.Sprintf(`{"events":[%s],"next":%q}`, strings.Join(events, ","), next))
}

func TestFollowAuditGivesEachEventOnceInOrder(t *testing.T) {
	inBubble(t, growingLog, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		var got, want []string
		enough := errors.New("enough")
		err := c.FollowAudit(t.Context(), api.AuditEvents{Entity: "item"}, func(event jsontext.Value) error {
			got = append(got, string(event))
			want = append(want, fmt.Sprintf(`{"id":"e%d","seq":%d}`, len(got), len(got)))
			if len(got) == 20 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	})
}

func TestFollowAuditEndsWithItsContextOrARefusal(t *testing.T) {
	inBubble(t, func(n int, _ *nats.Msg) *nats.Msg {
		if n < 10 {
			return says(`{"events":[],"next":""}`)
		}
		return refuses("forbidden", "403", `{"error":{"code":"forbidden","message":"superusers only"}}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		none := func(jsontext.Value) error { return errors.New("there is no event") }
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.FollowAudit(ctx, api.AuditEvents{}, none); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
		err := c.FollowAudit(t.Context(), api.AuditEvents{}, none)
		if got := refusal(t, err); got.Code != api.Forbidden {
			t.Errorf("refusal %+v", got)
		}
	})
}

func TestFollowRunGoesOnWhereTheAnswerBeforeEnded(t *testing.T) {
	inBubble(t, func(n int, _ *nats.Msg) *nats.Msg {
		switch {
		case n == 3: // an outage
			return refuses("unavailable", "503", `{"error":{"code":"unavailable","message":"no leader"}}`)
		case n < 6:
			return says(fmt.Sprintf(`{"lines":[{"time":"2026-11-24T12:00:00.000Z","stream":"stdout","text":"%d"}],"next":"1.%d.0"}`, n, n))
		}
		return says(`{"lines":[],"ended":true}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		var got []string
		err := c.FollowRun(t.Context(), api.RunLogsInput{ID: "run_1"}, func(logs api.RunLogs) error {
			for _, l := range logs.Lines {
				got = append(got, l.Text)
			}
			return nil
		})
		if want := []string{"0", "1", "2", "4", "5"}; err != nil || !slices.Equal(got, want) {
			t.Errorf("lines %v, %v, want %v", got, err, want)
		}
		asked := b.requests()
		if first, last := string(asked[0].Data), string(asked[6].Data); len(asked) != 7 ||
			first != `{"id":"run_1","wait":"10s"}` || last != `{"id":"run_1","after":"1.5.0","wait":"10s"}` {
			t.Errorf("%d requests, the first %s, the last %s", len(asked), first, last)
		}
	})
}

func TestFollowRunEndsWithItsContextOrAnError(t *testing.T) {
	enough := errors.New("enough")
	inBubble(t, func(n int, _ *nats.Msg) *nats.Msg {
		if n > 1 {
			return refuses("not_found", "404", `{"error":{"code":"not_found","message":"there is no run"}}`)
		}
		return says(`{"lines":[],"next":"1.0.0"}`)
	}, func(t *testing.T, b *belfry) {
		c := b.client()
		defer c.Close()
		if err := c.FollowRun(t.Context(), api.RunLogsInput{ID: "run_1"}, func(api.RunLogs) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("error %v, want that of the callback", err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := c.FollowRun(ctx, api.RunLogsInput{ID: "run_1"}, func(api.RunLogs) error { cancel(enough); return nil }); !errors.Is(err, enough) {
			t.Errorf("error %v, want the context's cause", err)
		}
		err := c.FollowRun(t.Context(), api.RunLogsInput{ID: "run_1"}, func(api.RunLogs) error { return nil })
		if got := refusal(t, err); got.Code != api.NotFound {
			t.Errorf("refusal %+v", got)
		}
	})
}
