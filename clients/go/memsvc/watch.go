package memsvc

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// WatchOptions are those of User.Watch.
type WatchOptions struct {
	Filter *Filter
	// SendInitial gives the present memories first. Who stops before PresentDone starts over with it.
	SendInitial bool
	// ResumeToken, from an earlier event, goes on after it. It is OutOfRange where the history no longer reaches back.
	ResumeToken string
}

// Watch returns the changes of the user's memories as they are committed, until the context is done or the user is erased.
func (u *User) Watch(ctx context.Context, options *WatchOptions) iter.Seq2[*WatchEvent, error] {
	options = or(options)
	request := &memsvcv1.WatchMemoriesRequest{
		Scope:       u.scope(),
		Filter:      options.Filter,
		SendInitial: options.SendInitial,
		ResumeToken: options.ResumeToken,
	}
	return follow(ctx, &u.client.settings, u.check(), func() source[*WatchEvent] {
		return &watchStream{rpc: u.client.rpc.memories, request: proto.Clone(request).(*memsvcv1.WatchMemoriesRequest)}
	})
}

// watchStream is the changes of one user's memories: its request goes on after what was seen.
type watchStream struct {
	rpc     memsvcv1.MemoryServiceClient
	request *memsvcv1.WatchMemoriesRequest
	erased  bool
}

func (s *watchStream) ended() bool { return s.erased }

func (s *watchStream) metadata() map[string]string { return nil }

func (s *watchStream) open(ctx context.Context) (leg[*WatchEvent], error) {
	stream, err := s.rpc.WatchMemories(ctx, s.request)
	return func() (*WatchEvent, bool, error) {
		event, err := stream.Recv()
		if err != nil {
			return nil, false, err
		}
		return event, s.take(event), nil
	}, err
}

// take notes an event, and tells whether it is one to tell of.
func (s *watchStream) take(event *WatchEvent) bool {
	if token := event.GetResumeToken(); token != "" {
		s.request.ResumeToken = token
	}
	switch event.GetEvent().(type) {
	case *PresentDone:
		s.request.SendInitial = false
	case *Erased:
		s.erased = true
	case nil:
		// An event of a newer server.
		return false
	}
	return true
}
