package memsvc

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

const (
	maxAttempts = 5
	firstDelay  = 100 * time.Millisecond
	maxDelay    = time.Second
)

// retrying carries out a call with its deadline, and sends it again where nobody has answered it. Every write gets a request
// id, so that a repeat happens once. The service config of gRPC could do the five attempts, but not outlive a restart that
// takes longer than these.
func (s *settings) retrying(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	ctx, cancel := s.withDeadline(ctx, method, request)
	defer cancel()
	request = repeatable(request)
	// What callers give last counts.
	options = append([]grpc.CallOption{grpc.WaitForReady(!s.failFast)}, options...)
	for attempt := 1; ; attempt++ {
		err := errorOf(ctx, invoke(ctx, method, request, reply, connection, options...))
		if err != nil && s.closed.Load() {
			return clientClosed(err)
		}
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != codes.Unavailable {
			return err
		}
		patient := !s.failFast && serverIsGone(failure)
		if attempt >= maxAttempts && !patient {
			return err
		}
		if !sleep(ctx, max(backoffAfter(attempt), failure.RetryAfter)) {
			return err
		}
	}
}

// repeatable returns a request with an id, where it takes one and has none: its request_id, or the call_id of a tool's call.
func repeatable(request any) any {
	given, is := request.(proto.Message)
	if !is {
		return request
	}
	message := given.ProtoReflect()
	for _, name := range []protoreflect.Name{"request_id", "call_id"} {
		field := message.Descriptor().Fields().ByName(name)
		if field == nil || message.Has(field) {
			continue
		}
		// The caller's own stays without: used again, it is another call.
		identified := message.New()
		message.Range(func(each protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			identified.Set(each, value)
			return true
		})
		identified.SetUnknown(message.GetUnknown())
		identified.Set(field, protoreflect.ValueOfString(newRequestID()))
		return identified.Interface()
	}
	return request
}

// withDeadline gives a context without a deadline that of its call.
func (s *settings) withDeadline(ctx context.Context, method string, request any) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	timeout := s.timeout
	if method == memsvcv1.ContextService_CompileContext_FullMethodName {
		timeout = s.contextTimeout
	}
	return context.WithTimeout(ctx, timeout+waitOf(request))
}

// waitOf returns how long a request asks the server to wait.
func waitOf(request any) time.Duration {
	switch request := request.(type) {
	case *memsvcv1.AppendRunRequest:
		return request.GetWaitForLearning().AsDuration()
	case *memsvcv1.CompileContextRequest:
		return request.GetWaitForLearning().AsDuration()
	case *memsvcv1.SummarizeSessionRequest:
		return request.GetWaitForSummary().AsDuration()
	case *memsvcv1.ConsolidateMemoriesRequest:
		return request.GetWaitForConsolidation().AsDuration()
	case *memsvcv1.CallToolRequest:
		return request.GetWait().AsDuration()
	}
	return 0
}

// backoffAfter returns how long to wait after so many failures.
func backoffAfter(failures int) time.Duration {
	delay := maxDelay
	if shift := failures - 1; shift < 4 {
		delay = min(firstDelay<<shift, maxDelay)
	}
	return time.Duration(float64(delay) * (0.8 + 0.4*rand.Float64()))
}

// sleep waits, and tells whether there is time left after it. Where the deadline comes first it does not wait.
func sleep(ctx context.Context, delay time.Duration) bool {
	if deadline, has := ctx.Deadline(); has && time.Until(deadline) <= delay {
		return false
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
