package memsvc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A Reason says why a call failed, or why something was not learned, in one word that programs can switch on.
type Reason string

// ReasonClientClosed is the client's own: it was closed.
const ReasonClientClosed Reason = "CLIENT_CLOSED"

// An Error is a call that did not succeed.
type Error struct {
	// Code is the gRPC status. Without a Reason the transport failed, not the server: it is Unavailable or DeadlineExceeded
	// then, or Canceled by the caller.
	Code codes.Code
	// Reason is why: ReasonKeyTaken. A newer server may send one that has no constant here yet.
	Reason Reason
	// Message is for people.
	Message string
	// Fields are those of the request that are wrong.
	Fields []FieldViolation
	// Metadata is more about the reason: the id of the memory that holds a key ("memory_id"), for instance.
	Metadata map[string]string
	// RetryAfter is when the server suggests to try again; 0: it suggests nothing.
	RetryAfter time.Duration

	cause error
}

// A FieldViolation is one wrong field of a request: its path as in the proto, and what it must be.
type FieldViolation struct {
	Field       string
	Description string
}

// Error names the reason and says the message.
func (e *Error) Error() string {
	name := string(e.Reason)
	if name == "" {
		name = e.Code.String()
	}
	return "memsvc: " + name + ": " + e.Message
}

// Unwrap returns the status as gRPC has it.
func (e *Error) Unwrap() error { return e.cause }

// Is lets errors.Is ask for context.DeadlineExceeded and context.Canceled.
func (e *Error) Is(target error) bool {
	return e.Code == codes.DeadlineExceeded && target == context.DeadlineExceeded ||
		e.Code == codes.Canceled && target == context.Canceled
}

// ServiceDown tells whether the failure is the service's or the network's, and not the caller's. So is a limit that is over by
// itself.
func (e *Error) ServiceDown() bool {
	switch e.Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Internal, codes.DataLoss, codes.Unknown:
		return true
	}
	return e.Reason == ReasonLimitReached || e.Reason == ReasonBudgetExhausted
}

// An ArgumentError is a mistake that was seen before anything was sent.
type ArgumentError struct {
	Argument string
	Message  string
}

// Error says which argument is wrong, and what to write instead.
func (e *ArgumentError) Error() string {
	return "memsvc: " + e.Argument + ": " + e.Message
}

func wrong(argument, message string) error {
	return &ArgumentError{argument, message}
}

// An ExtractionError says that learning ended without effect.
type ExtractionError struct {
	ExtractionID string
	// State is FAILED or CANCELLED.
	State  ExtractionState
	Reason Reason
	Detail string
}

// Error says why nothing was learned.
func (e *ExtractionError) Error() string {
	detail := e.Detail
	if detail == "" {
		detail = fmt.Sprintf("extraction %s is %s", e.ExtractionID, e.State)
	}
	return fmt.Sprintf("memsvc: %s: %s", e.Reason, detail)
}

// errorOf returns the typed error of what gRPC says of a call; nil stays nil.
func errorOf(ctx context.Context, err error) error {
	var known *Error
	var argument *ArgumentError
	if err == nil || errors.As(err, &known) || errors.As(err, &argument) {
		return err
	}
	said := status.Convert(err)
	failure := &Error{Code: said.Code(), Message: said.Message(), cause: err}
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			failure.Reason, failure.Metadata = Reason(detail.GetReason()), detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				failure.Fields = append(failure.Fields, FieldViolation{each.GetField(), each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			failure.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	if failure.Reason == "" && ctx.Err() == nil && (failure.Code == codes.Internal || failure.Code == codes.Canceled) {
		// A server gives its reason: what has none is a connection that broke, whatever the transport calls it.
		failure.Code = codes.Unavailable
	}
	return failure
}

func clientClosed(cause error) error {
	return &Error{
		Code: codes.FailedPrecondition, Reason: ReasonClientClosed, Message: "the client is closed: make another one", cause: cause,
	}
}

// serverIsGone tells whether nobody answers there, or only to say goodbye.
func serverIsGone(failure *Error) bool {
	return failure.Code == codes.Unavailable && (failure.Reason == "" || failure.Reason == ReasonServerDraining)
}
