package memsvc

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// Consistency says how fresh a read must be: AtLeastRevision and the like make one. Without it a read sees everything that
// was acknowledged before.
type Consistency = memsvcv1.Consistency

// AtLeastRevision is answered from RAM where that suffices, also while the database is down.
func AtLeastRevision(revision int64) *Consistency {
	return &Consistency{Requirement: &memsvcv1.Consistency_AtLeastRevision{AtLeastRevision: revision}}
}

// MaxStaleness accepts what was the latest at most this long ago.
func MaxStaleness(age time.Duration) *Consistency {
	return &Consistency{Requirement: &memsvcv1.Consistency_MaxStaleness{MaxStaleness: durationpb.New(age)}}
}

// AsOfRevision reads the memories as they were when this revision was made; 0: before the first one.
func AsOfRevision(revision int64) *Consistency {
	return &Consistency{Requirement: &memsvcv1.Consistency_AsOfRevision{AsOfRevision: revision}}
}

// AsOfTime reads the memories as they were then.
func AsOfTime(moment time.Time) *Consistency {
	return &Consistency{Requirement: &memsvcv1.Consistency_AsOfTime{AsOfTime: timestamppb.New(moment)}}
}

// Collect reads a list or a stream to its end.
func Collect[T any](items iter.Seq2[T, error]) ([]T, error) {
	var all []T
	for item, err := range items {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

// pages returns a list whose pages are fetched as they are needed. An argument that is wrong is its first error.
func pages[Request proto.Message, Reply interface{ GetNextPageToken() string }, T any](
	ctx context.Context, refused error, request Request,
	call func(context.Context, Request, ...grpc.CallOption) (Reply, error), items func(Reply) []T,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if refused != nil {
			yield(none, refused)
			return
		}
		asked := proto.Clone(request).(Request)
		for {
			reply, err := call(ctx, asked)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range items(reply) {
				if !yield(item, nil) {
					return
				}
			}
			token := reply.GetNextPageToken()
			if token == "" {
				return
			}
			message := asked.ProtoReflect()
			message.Set(message.Descriptor().Fields().ByName("page_token"), protoreflect.ValueOfString(token))
		}
	}
}

// or returns the options that are given, else none.
func or[Options any](given *Options) *Options {
	if given == nil {
		return new(Options)
	}
	return given
}

// newRequestID returns a random UUID.
func newRequestID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: crypto/rand says so
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// wait returns how long the server is asked to wait; nil: it is not.
func wait(span time.Duration) *durationpb.Duration {
	if span <= 0 {
		return nil
	}
	return durationpb.New(span)
}

// toJSON returns a value as compact JSON. A json.RawMessage is taken as it is.
func toJSON(argument string, value any) (string, error) {
	if raw, is := value.(json.RawMessage); is {
		return string(raw), nil
	}
	var written bytes.Buffer
	encoder := json.NewEncoder(&written)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", wrong(argument, "has no form in JSON: "+err.Error())
	}
	return string(bytes.TrimRight(written.Bytes(), "\n")), nil
}
