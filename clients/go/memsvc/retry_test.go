package memsvc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

func TestACallOutlivesARestartThatTakesLongerThanFiveAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, restart := time.Now(), 8*time.Second
		attempts, err := attempt(defaults(), func(context.Context) error {
			if time.Since(begun) < restart {
				return status.Error(codes.Unavailable, "connection refused")
			}
			return nil
		})
		if err != nil || attempts < 8 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

func TestACallGivesUpAfterFiveAttempts(t *testing.T) {
	impatient := defaults()
	impatient.failFast = true
	for name, each := range map[string]struct {
		settings settings
		failure  error
	}{
		"nobody is there, and it fails fast":        {impatient, status.Error(codes.Unavailable, "connection refused")},
		"the server says that its database is away": {defaults(), said(codes.Unavailable, ReasonStorageUnavailable)},
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts, err := attempt(each.settings, func(context.Context) error { return each.failure })
			var failure *Error
			if attempts != 5 || !errors.As(err, &failure) || failure.Code != codes.Unavailable {
				t.Errorf("%s: %d attempts, %v", name, attempts, err)
			}
		})
	}
}

func TestARepeatHasTheSameIDAndAnotherCallAnotherOne(t *testing.T) {
	for name, each := range map[string]struct {
		request proto.Message
		id      func(any) string
	}{
		"a write":        {&memsvcv1.CreateMemoryRequest{Memory: &Memory{Text: "Skis"}}, func(sent any) string { return sent.(*memsvcv1.CreateMemoryRequest).GetRequestId() }},
		"a tool's call":  {&memsvcv1.CallToolRequest{Name: "forget"}, func(sent any) string { return sent.(*memsvcv1.CallToolRequest).GetCallId() }},
		"an id of one's": {&memsvcv1.EraseUserRequest{RequestId: "mine"}, func(sent any) string { return sent.(*memsvcv1.EraseUserRequest).GetRequestId() }},
	} {
		synctest.Test(t, func(t *testing.T) {
			ids := map[string]int{}
			before := proto.Clone(each.request)
			for range 2 {
				s, attempts := defaults(), 0
				invoke := func(_ context.Context, _ string, sent, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
					ids[each.id(sent)]++
					if attempts++; attempts < 3 {
						return status.Error(codes.Unavailable, "connection refused")
					}
					return nil
				}
				if err := s.retrying(t.Context(), "", each.request, nil, nil, invoke); err != nil {
					t.Error(err)
				}
			}
			if !proto.Equal(each.request, before) {
				t.Errorf("%s: the caller's request was changed to %v", name, each.request)
			}
			if name == "an id of one's" && ids["mine"] != 6 || name != "an id of one's" && (len(ids) != 2 || ids[""] != 0) {
				t.Errorf("%s: %v", name, ids)
			}
		})
	}
}

func TestWhatIsNotUnavailableIsSentOnce(t *testing.T) {
	for _, code := range []codes.Code{codes.Aborted, codes.ResourceExhausted, codes.Internal, codes.DeadlineExceeded, codes.NotFound} {
		synctest.Test(t, func(t *testing.T) {
			attempts, err := attempt(defaults(), func(context.Context) error { return said(code, ReasonInternal) })
			if attempts != 1 || err == nil {
				t.Errorf("%v: %d attempts, %v", code, attempts, err)
			}
		})
	}
}

func TestAServerIsNotAskedBeforeItWantsToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		attempts, err := attempt(defaults(), func(context.Context) error {
			if time.Since(begun) < 2*time.Second {
				return said(codes.Unavailable, ReasonStorageUnavailable, &errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)})
			}
			return nil
		})
		if err != nil || attempts != 2 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}

func TestACallEndsAtItsDeadlineWithWhatItLastHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		_, err := attempt(defaults(), func(context.Context) error { return status.Error(codes.Unavailable, "connection refused") })
		var failure *Error
		if !errors.As(err, &failure) || failure.Code != codes.Unavailable || time.Since(begun) > defaultTimeout {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

func TestDeadlines(t *testing.T) {
	s := defaults()
	second := time.Second
	for name, each := range map[string]struct {
		method  string
		request any
		want    time.Duration
	}{
		"of a call":             {memsvcv1.MemoryService_GetMemory_FullMethodName, &memsvcv1.GetMemoryRequest{}, 10 * second},
		"of a context":          {memsvcv1.ContextService_CompileContext_FullMethodName, &memsvcv1.CompileContextRequest{}, 3 * second},
		"of a call that waits":  {memsvcv1.SessionService_AppendRun_FullMethodName, &memsvcv1.AppendRunRequest{WaitForLearning: durationpb.New(30 * second)}, 40 * second},
		"of a tool that learns": {memsvcv1.ToolService_CallTool_FullMethodName, &memsvcv1.CallToolRequest{Wait: durationpb.New(60 * second)}, 70 * second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := s.withDeadline(t.Context(), each.method, each.request)
			defer cancel()
			if deadline, _ := ctx.Deadline(); time.Until(deadline) != each.want {
				t.Errorf("%s: %v", name, time.Until(deadline))
			}
			own, done := context.WithTimeout(t.Context(), time.Hour)
			defer done()
			ctx, stop := s.withDeadline(own, each.method, each.request)
			defer stop()
			if deadline, _ := ctx.Deadline(); time.Until(deadline) != time.Hour {
				t.Errorf("%s: a deadline of the caller's was changed to %v", name, time.Until(deadline))
			}
		})
	}
}

func TestAnErrorWithoutAReasonIsTheTransports(t *testing.T) {
	for _, code := range []codes.Code{codes.Internal, codes.Canceled, codes.Unavailable} {
		var failure *Error
		if !errors.As(errorOf(t.Context(), status.Error(code, "unexpected EOF")), &failure) || failure.Code != codes.Unavailable {
			t.Errorf("%v became %v", code, failure)
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errorOf(over, status.Error(codes.Canceled, "context canceled")); !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not that the caller cancelled", err)
	}
	if err := errorOf(t.Context(), status.Error(codes.DeadlineExceeded, "")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v is not that the deadline passed", err)
	}
}

func TestAStreamLooksForItsServerForAMinute(t *testing.T) {
	for name, each := range map[string]struct {
		answered bool
		at, most time.Duration
	}{
		"that has begun":             {true, 58 * time.Second, time.Minute},
		"that has not been answered": {false, 8 * time.Second, 10 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			waiting := patience{first: defaultTimeout}
			if each.answered {
				waiting.hear()
			}
			begun := time.Now()
			for waiting.after(t.Context(), errorOf(t.Context(), status.Error(codes.Unavailable, "refused"))) == nil {
				waiting.heard = false
			}
			if since := time.Since(begun); since < each.at || since > each.most {
				t.Errorf("a stream %s was given up after %v", name, since)
			}
		})
	}
}

func TestAStreamThatWasHeardGoesOnAtOnceAtTheEndOfItsLeg(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting, begun := patience{first: defaultTimeout}, time.Now()
		waiting.hear()
		if err := waiting.after(t.Context(), &Error{Code: codes.DeadlineExceeded}); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// attempt carries out a call over a connection that answers as told, and returns how often it was tried.
func attempt(s settings, answer func(context.Context) error) (attempts int, err error) {
	invoke := func(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
		attempts++
		return answer(ctx)
	}
	method := memsvcv1.MemoryService_GetMemory_FullMethodName
	err = s.retrying(context.Background(), method, &memsvcv1.GetMemoryRequest{}, nil, nil, invoke)
	return attempts, err
}

// said is what a server says.
func said(code codes.Code, reason Reason, retry ...*errdetails.RetryInfo) error {
	answered, err := status.New(code, "no").WithDetails(&errdetails.ErrorInfo{Reason: string(reason), Domain: "memsvc.dev"})
	for _, each := range retry {
		answered, err = answered.WithDetails(each)
	}
	if err != nil {
		panic(err)
	}
	return answered.Err()
}
