package memsvc

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"google.golang.org/grpc/codes"
)

const (
	// legTimeout is eight heartbeats: a server that hangs is noticed, a stream that lives goes on in the next leg.
	legTimeout = 2 * time.Minute
	// reconnectTimeout is how long a stream that has begun looks for a server.
	reconnectTimeout = time.Minute
)

// A source is what a stream is of: what to ask for next, and what was seen already. One connection's worth is a leg.
type source[Event any] interface {
	// open begins a leg, with what was not seen yet.
	open(ctx context.Context) (leg[Event], error)
	// ended tells whether the last event was seen.
	ended() bool
	// metadata is what an error should tell of the stream.
	metadata() map[string]string
}

// A leg returns what comes next; new is false for what was seen already, and for heartbeats.
type leg[Event any] func() (event Event, isNew bool, err error)

// follow returns the events of a stream that outlives its connections. Each time that it is ranged over it begins anew.
func follow[Event any](
	ctx context.Context, s *settings, refused error, begin func() source[Event],
) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var none Event
		if refused != nil {
			yield(none, refused)
			return
		}
		from := begin()
		waiting := patience{first: s.timeout}
		for !from.ended() {
			failure, left := oneLeg(ctx, from, &waiting, yield)
			if left {
				return
			}
			if failure == nil {
				continue
			}
			if s.closed.Load() {
				yield(none, clientClosed(failure))
				return
			}
			if err := waiting.after(ctx, failure); err != nil {
				var known *Error
				if errors.As(err, &known) && known.Reason == "" && len(known.Metadata) == 0 {
					known.Metadata = from.metadata()
				}
				yield(none, err)
				return
			}
		}
	}
}

// oneLeg hands on the events of one connection. It returns why that broke, nil where the stream has ended, and whether the
// reader left.
func oneLeg[Event any](
	ctx context.Context, from source[Event], waiting *patience, yield func(Event, error) bool,
) (failure error, left bool) {
	legContext, cancel := context.WithTimeout(ctx, legTimeout)
	defer cancel()
	waiting.heard = false
	next, err := from.open(legContext)
	if err != nil {
		return errorOf(ctx, err), false
	}
	for {
		event, isNew, err := next()
		if err == io.EOF {
			return &Error{Code: codes.Unavailable, Message: "the stream ended before its last event"}, false
		}
		if err != nil {
			return errorOf(ctx, err), false
		}
		waiting.hear()
		if isNew && !yield(event, nil) {
			return nil, true
		}
		if from.ended() {
			return nil, false
		}
	}
}

// patience says when a broken stream is taken up again, and when it is given up.
type patience struct {
	// first is how long a server is looked for until something was heard.
	first time.Duration

	heard       bool // in this leg
	answered    bool // ever
	failures    int
	silentSince time.Time
	lasting     time.Duration
}

func (p *patience) hear() {
	p.heard, p.answered, p.failures, p.silentSince = true, true, 0, time.Time{}
}

// after waits until the next leg should begin. It returns why there is none.
func (p *patience) after(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != codes.Unavailable && failure.Code != codes.DeadlineExceeded {
		return err
	}
	if p.heard && failure.Code == codes.DeadlineExceeded {
		return nil
	}
	now := time.Now()
	if p.silentSince.IsZero() {
		p.silentSince, p.lasting = now, p.first
		if p.answered {
			p.lasting = reconnectTimeout
		}
	}
	p.failures++
	delay := max(backoffAfter(p.failures), failure.RetryAfter)
	if now.Add(delay).After(p.silentSince.Add(p.lasting)) {
		return err
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ended(ctx)
	case <-timer.C:
		return nil
	}
}

// ended returns the error of a stream whose context is over.
func ended(ctx context.Context) error {
	failure := &Error{Code: codes.Canceled, Message: "the stream was cancelled; its work goes on", cause: ctx.Err()}
	if ctx.Err() == context.DeadlineExceeded {
		failure.Code = codes.DeadlineExceeded
		failure.Message = "the stream had not ended at its deadline; its work goes on"
	}
	return failure
}
