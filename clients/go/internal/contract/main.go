// Command contract is the executor of Go: it does with the client what clients/contract/README.md says, line by line.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/memsvc/memsvc/clients/go/memsvc"
)

func main() {
	if err := execute(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// line is what the harness asks for.
type line struct {
	ID     int    `json:"id"`
	Do     string `json:"do"`
	Client string `json:"client"`
	User   string `json:"user"`
	Agent  string `json:"agentId"`
	Team   string `json:"teamId"`
	Call   string `json:"call"`
	Args   args   `json:"args"`
	Stream string `json:"stream"`

	Target         string  `json:"target"`
	Namespace      string  `json:"namespace"`
	Token          string  `json:"token"`
	CAFile         string  `json:"caFile"`
	Timeout        seconds `json:"timeoutSeconds"`
	ContextTimeout seconds `json:"contextTimeoutSeconds"`
	ContextOrEmpty bool    `json:"contextOrEmpty"`
	WaitForReady   bool    `json:"waitForReady"`
}

type answer = map[string]any

// items is a list or stream, whatever it is of.
type items = iter.Seq2[any, error]

type opened struct {
	next  func() (any, error, bool)
	leave func()
}

type executor struct {
	clients map[string]*memsvc.Client
	streams map[string]opened
}

func execute(input io.Reader, output io.Writer) error {
	e := executor{map[string]*memsvc.Client{}, map[string]opened{}}
	lines := bufio.NewReader(input)
	answers := json.NewEncoder(output)
	for {
		text, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		var asked line
		if err == nil {
			err = json.Unmarshal(text, &asked)
		}
		if err != nil {
			return err
		}
		said, err := e.do(&asked)
		if err != nil {
			said = answer{"error": failed(err)}
		}
		said["id"] = asked.ID
		if err := answers.Encode(said); err != nil {
			return err
		}
	}
}

func (e *executor) do(asked *line) (answer, error) {
	switch asked.Do {
	case "connect":
		client, err := connect(asked)
		e.clients[asked.Client] = client
		return answer{"reply": answer{}}, err
	case "close":
		return answer{"reply": answer{}}, e.clients[asked.Client].Close()
	case "call":
		return e.call(asked)
	case "open":
		return e.open(asked)
	case "next":
		item, err, more := e.streams[asked.Stream].next()
		if !more {
			return answer{"ended": true}, nil
		}
		return answer{"item": shown(item)}, err
	case "leave":
		e.streams[asked.Stream].leave()
		return answer{"reply": answer{}}, nil
	}
	return answer{"unsupported": "nothing is known of " + asked.Do}, nil
}

func connect(asked *line) (*memsvc.Client, error) {
	options := []memsvc.Option{memsvc.WithNamespace(asked.Namespace), memsvc.WithToken(asked.Token)}
	if asked.CAFile != "" {
		options = append(options, memsvc.WithCAFile(asked.CAFile))
	}
	if asked.Timeout != 0 {
		options = append(options, memsvc.WithTimeout(time.Duration(asked.Timeout)))
	}
	if asked.ContextTimeout != 0 {
		options = append(options, memsvc.WithContextTimeout(time.Duration(asked.ContextTimeout)))
	}
	if asked.ContextOrEmpty {
		options = append(options, memsvc.WithContextOrEmpty())
	}
	if !asked.WaitForReady {
		options = append(options, memsvc.FailFast())
	}
	return memsvc.New(asked.Target, options...)
}

// call carries out a call; a list or stream is read to its end.
func (e *executor) call(asked *line) (answer, error) {
	ctx, cancel := asked.Args.context()
	defer cancel()
	reply, err := e.reply(ctx, asked)
	if err != nil {
		return nil, err
	}
	list, is := reply.(items)
	if !is {
		return answer{"reply": shown(reply)}, asked.Args.wrong
	}
	all := []any{}
	for item, err := range list {
		if err != nil {
			return nil, err
		}
		all = append(all, shown(item))
	}
	return answer{"reply": answer{"items": all}}, asked.Args.wrong
}

func (e *executor) open(asked *line) (answer, error) {
	ctx, cancel := asked.Args.context()
	reply, err := e.reply(ctx, asked)
	if err != nil {
		cancel()
		return nil, err
	}
	next, stop := iter.Pull2(reply.(items))
	e.streams[asked.Stream] = opened{next: next, leave: func() { stop(); cancel() }}
	return answer{"reply": answer{}}, nil
}

// anything returns a list of what it is of as one of anything.
func anything[T any](list iter.Seq2[T, error]) items {
	return func(yield func(any, error) bool) {
		for item, err := range list {
			if !yield(item, err) {
				return
			}
		}
	}
}

// shown returns a reply as JSON.
func shown(reply any) any {
	switch reply := reply.(type) {
	case *memsvc.CompiledContext:
		if reply.Failure != nil {
			return answer{"text": reply.GetText(), "failure": failed(reply.Failure)}
		}
		return shown(reply.CompileContextResponse)
	case *memsvc.Configured:
		return answer{"config": shown(reply.Config), "inForce": shown(reply.InForce)}
	case proto.Message:
		written, err := protojson.Marshal(reply)
		if err != nil {
			panic(err)
		}
		return json.RawMessage(written)
	case []*memsvc.Extraction:
		all := make([]any, len(reply))
		for index, each := range reply {
			all[index] = shown(each)
		}
		return answer{"extractions": all}
	}
	return reply
}

// failed returns an error as the contract writes it.
func failed(err error) answer {
	var failure *memsvc.Error
	var learning *memsvc.ExtractionError
	switch {
	case errors.As(err, &failure):
		fields := []string{}
		for _, each := range failure.Fields {
			fields = append(fields, each.Field)
		}
		said := answer{
			"code":     codeName(failure.Code),
			"reason":   failure.Reason,
			"fields":   fields,
			"message":  failure.Message,
			"metadata": failure.Metadata,
		}
		if failure.RetryAfter != 0 {
			said["retryAfterSeconds"] = failure.RetryAfter.Seconds()
		}
		return said
	case errors.As(err, &learning):
		return answer{"code": "EXTRACTION_FAILED", "reason": learning.Reason, "message": learning.Detail}
	}
	return answer{"code": "WRONG_ARGUMENT", "message": err.Error()}
}

var codeNames = map[codes.Code]string{
	codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN", codes.InvalidArgument: "INVALID_ARGUMENT",
	codes.DeadlineExceeded: "DEADLINE_EXCEEDED", codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

func codeName(code codes.Code) string {
	return codeNames[code]
}

// seconds is a number of them.
type seconds time.Duration

// UnmarshalJSON reads a number.
func (s *seconds) UnmarshalJSON(text []byte) error {
	var number float64
	err := json.Unmarshal(text, &number)
	*s = seconds(number * float64(time.Second))
	return err
}

// context returns that of a call, with its deadline.
func (a *args) context() (context.Context, context.CancelFunc) {
	if timeout := a.seconds("timeoutSeconds"); timeout != 0 {
		return context.WithTimeout(context.Background(), timeout)
	}
	return context.WithCancel(context.Background())
}
