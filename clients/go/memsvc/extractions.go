package memsvc

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// learnTimeout is how long User.Learn lasts whose context has no deadline.
const learnTimeout = 5 * time.Minute

// ExtractOptions are those of User.Extract and User.Learn.
type ExtractOptions struct {
	// ValidateOnly shows what would be learned, and stores nothing. Learn does not take it.
	ValidateOnly bool
	// Settings overrule what is configured.
	Settings *Settings
	// RequestID is a UUID, made by the client by default. The same one watches the same extraction.
	RequestID string
}

// A Source is what is learned from: FromText, FromMessages or FromRuns.
type Source func(*memsvcv1.ExtractMemoriesRequest) error

// FromText is what the user said.
func FromText(text string) Source {
	return func(request *memsvcv1.ExtractMemoriesRequest) error {
		if text == "" {
			return wrong("text", "must not be empty")
		}
		return FromMessages(UserMessage(text))(request)
	}
}

// FromMessages is a conversation, without a session.
func FromMessages(messages ...*Message) Source {
	return func(request *memsvcv1.ExtractMemoriesRequest) error {
		list := &memsvcv1.MessageList{Messages: messages}
		request.Source = &memsvcv1.ExtractMemoriesRequest_Messages{Messages: list}
		return nil
	}
}

// FromRuns is runs that are stored, learned from or not.
func FromRuns(runIDs ...string) Source {
	return func(request *memsvcv1.ExtractMemoriesRequest) error {
		request.Source = &memsvcv1.ExtractMemoriesRequest_Runs{Runs: &memsvcv1.RunList{RunIds: runIDs}}
		return nil
	}
}

// Extract learns, and returns what happens until it is completed. The job starts when the events are ranged over, is durable
// once Accepted came, and goes on when the loop is left: under the same request id another one watches it.
func (u *User) Extract(ctx context.Context, from Source, options *ExtractOptions) iter.Seq2[*ExtractionEvent, error] {
	options = or(options)
	request := &memsvcv1.ExtractMemoriesRequest{
		Scope:        u.scope(),
		AgentId:      u.agent,
		TeamId:       u.team,
		ValidateOnly: options.ValidateOnly,
		Settings:     options.Settings,
		RequestId:    options.RequestID,
	}
	if request.RequestId == "" {
		// A stream that is begun again asks for the same extraction.
		request.RequestId = newRequestID()
	}
	refused := u.check()
	if refused == nil {
		refused = from(request)
	}
	return follow(ctx, &u.client.settings, refused, func() source[*ExtractionEvent] {
		return &extractionStream{user: u, extract: request}
	})
}

// Learn learns, and returns what was committed: revision 0 and no changes where there was nothing to learn. Learning that
// ended without effect is an ExtractionError. It lasts at most five minutes, unless the context has a deadline; what it
// started goes on.
func (u *User) Learn(ctx context.Context, from Source, options *ExtractOptions) (*Commit, error) {
	if or(options).ValidateOnly {
		return nil, wrong("options", "ValidateOnly is for Extract")
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, learnTimeout)
		defer cancel()
	}
	commit, extractionID := &Commit{}, ""
	var failed *ExtractionError
	for event, err := range u.Extract(ctx, from, options) {
		if err != nil {
			return nil, err
		}
		switch event := event.GetEvent().(type) {
		case *Accepted:
			extractionID = event.Accepted.GetExtraction().GetExtractionId()
		case *Committed:
			commit = event.Committed.GetCommit()
		case *Failed:
			failure := event.Failed
			failed = &ExtractionError{extractionID, failure.GetState(), Reason(failure.GetReason()), failure.GetDetail()}
		case *Retried:
			failed = nil
		}
	}
	if failed != nil {
		return nil, failed
	}
	return commit, nil
}

// Extractions are the jobs that learn for one user.
type Extractions struct {
	user *User
}

// Get gets one extraction.
func (e *Extractions) Get(ctx context.Context, extractionID string) (*Extraction, error) {
	if err := e.user.check(); err != nil {
		return nil, err
	}
	request := &memsvcv1.GetExtractionRequest{Scope: e.user.scope(), ExtractionId: extractionID}
	reply, err := e.user.client.rpc.extractions.GetExtraction(ctx, request)
	return reply.GetExtraction(), err
}

// ListExtractionsOptions are those of Extractions.List.
type ListExtractionsOptions struct {
	// States are all by default.
	States []ExtractionState
	// SessionID is of which session; empty: of all.
	SessionID string
}

// List lists the user's extractions, newest first.
func (e *Extractions) List(ctx context.Context, options *ListExtractionsOptions) iter.Seq2[*Extraction, error] {
	options = or(options)
	request := &memsvcv1.ListExtractionsRequest{
		Scope: e.user.scope(), States: options.States, SessionId: options.SessionID,
	}
	list := e.user.client.rpc.extractions.ListExtractions
	return pages(ctx, e.user.check(), request, list, (*memsvcv1.ListExtractionsResponse).GetExtractions)
}

// Watch returns what happens to an extraction, from its start or from after the event whose resume token is given.
func (e *Extractions) Watch(ctx context.Context, extractionID, resumeToken string) iter.Seq2[*ExtractionEvent, error] {
	return follow(ctx, &e.user.client.settings, e.user.check(), func() source[*ExtractionEvent] {
		return &extractionStream{user: e.user, extractionID: extractionID, resumeToken: resumeToken}
	})
}

// CancelOptions are those of Extractions.Cancel.
type CancelOptions struct {
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Cancel cancels an extraction; its runs are SKIPPED. One that has ended is FailedPrecondition.
func (e *Extractions) Cancel(ctx context.Context, extractionID string, options *CancelOptions) (*Extraction, error) {
	if err := e.user.check(); err != nil {
		return nil, err
	}
	reply, err := e.user.client.rpc.extractions.CancelExtraction(ctx, &memsvcv1.CancelExtractionRequest{
		Scope: e.user.scope(), ExtractionId: extractionID, RequestId: or(options).RequestID,
	})
	return reply.GetExtraction(), err
}

// RetryOptions are those of Extractions.Retry.
type RetryOptions struct {
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Retry makes extractions that failed or were cancelled wait again, and returns them. Without ids: those that FAILED, at
// most 100 at a time; repeat until none come back.
func (e *Extractions) Retry(
	ctx context.Context, extractionIDs []string, options *RetryOptions,
) ([]*Extraction, error) {
	if err := e.user.check(); err != nil {
		return nil, err
	}
	reply, err := e.user.client.rpc.extractions.RetryExtractions(ctx, &memsvcv1.RetryExtractionsRequest{
		Scope: e.user.scope(), ExtractionIds: extractionIDs, RequestId: or(options).RequestID,
	})
	return reply.GetExtractions(), err
}

// extractionStream is the events of one extraction. Stored ones come once each; hints of an attempt that is over are left out.
type extractionStream struct {
	user         *User
	extract      *memsvcv1.ExtractMemoriesRequest
	extractionID string
	resumeToken  string
	number       int64
	attempt      int32
	completed    bool
}

func (s *extractionStream) ended() bool { return s.completed }

func (s *extractionStream) metadata() map[string]string {
	if s.extractionID == "" {
		return nil
	}
	return map[string]string{"extraction_id": s.extractionID}
}

func (s *extractionStream) open(ctx context.Context) (leg[*ExtractionEvent], error) {
	rpc := s.user.client.rpc.extractions
	if s.extract != nil && s.resumeToken == "" {
		stream, err := rpc.ExtractMemories(ctx, s.extract)
		return reading(s, stream, err)
	}
	stream, err := rpc.WatchExtraction(ctx, &memsvcv1.WatchExtractionRequest{
		Scope: s.user.scope(), ExtractionId: s.extractionID, ResumeToken: s.resumeToken,
	})
	return reading(s, stream, err)
}

func reading[Reply any, Pointer interface {
	*Reply
	GetEvent() *ExtractionEvent
}](s *extractionStream, stream grpc.ServerStreamingClient[Reply], err error) (leg[*ExtractionEvent], error) {
	return func() (*ExtractionEvent, bool, error) {
		reply, err := stream.Recv()
		if err != nil {
			return nil, false, err
		}
		event := Pointer(reply).GetEvent()
		return event, s.take(event), nil
	}, err
}

// take notes an event, and tells whether it is one to tell of.
func (s *extractionStream) take(event *ExtractionEvent) bool {
	if number := event.GetNumber(); number != 0 {
		if number <= s.number {
			return false
		}
		s.number, s.resumeToken = number, event.GetResumeToken()
	}
	switch event := event.GetEvent().(type) {
	case *Accepted:
		s.extractionID = event.Accepted.GetExtraction().GetExtractionId()
	case *Progress:
		return s.hint(event.Progress.GetAttempt())
	case *Proposed:
		return s.hint(event.Proposed.GetAttempt())
	case *Retried:
		s.attempt = 0
	case *Completed:
		s.completed = true
	case *memsvcv1.ExtractionEvent_Heartbeat, nil:
		// A newer server's event is nil here.
		return false
	}
	return true
}

func (s *extractionStream) hint(attempt int32) bool {
	if attempt < s.attempt {
		return false
	}
	s.attempt = attempt
	return true
}
