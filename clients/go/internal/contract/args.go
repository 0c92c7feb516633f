package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/memsvc/memsvc/clients/go/memsvc"
	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// args are the arguments of a call; wrong is what is wrong with the first one that could not be read.
type args struct {
	given map[string]json.RawMessage
	wrong error
}

// UnmarshalJSON reads an object.
func (a *args) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &a.given)
}

func read[T any](a *args, name string) T {
	var value T
	if text, is := a.given[name]; is {
		if err := json.Unmarshal(text, &value); err != nil && a.wrong == nil {
			a.wrong = fmt.Errorf("%s: %w", name, err)
		}
	}
	return value
}

func (a *args) has(name string) bool            { return a.given[name] != nil }
func (a *args) text(name string) string         { return read[string](a, name) }
func (a *args) texts(name string) []string      { return read[[]string](a, name) }
func (a *args) number(name string) int32        { return read[int32](a, name) }
func (a *args) fraction(name string) float64    { return read[float64](a, name) }
func (a *args) is(name string) bool             { return read[bool](a, name) }
func (a *args) optional(name string) *bool      { return read[*bool](a, name) }
func (a *args) raw(name string) json.RawMessage { return a.given[name] }

func (a *args) seconds(name string) time.Duration {
	return time.Duration(read[seconds](a, name))
}

// revision is a number, or a string that holds one.
func (a *args) revision(name string) *int64 {
	if !a.has(name) {
		return nil
	}
	number, err := strconv.ParseInt(strings.Trim(string(a.given[name]), `"`), 10, 64)
	if err != nil && a.wrong == nil {
		a.wrong = err
	}
	return &number
}

// enumerated is a value of an enum by its name.
func enumerated[Enum interface {
	~int32
	Descriptor() protoreflect.EnumDescriptor
}](a *args, name string) Enum {
	return valueOf[Enum](a, name, a.text(name))
}

func enumeratedList[Enum interface {
	~int32
	Descriptor() protoreflect.EnumDescriptor
}](a *args, name string) []Enum {
	var values []Enum
	for _, each := range a.texts(name) {
		values = append(values, valueOf[Enum](a, name, each))
	}
	return values
}

func valueOf[Enum interface {
	~int32
	Descriptor() protoreflect.EnumDescriptor
}](a *args, name, word string) Enum {
	var none Enum
	if word == "" {
		return none
	}
	value := none.Descriptor().Values().ByName(protoreflect.Name(word))
	if value == nil {
		if a.wrong == nil {
			a.wrong = fmt.Errorf("%s: %s is no value of %s", name, word, none.Descriptor().Name())
		}
		return none
	}
	return Enum(value.Number())
}

// message reads protojson; nil where it is not given.
func message[Message any, Pointer interface {
	*Message
	proto.Message
}](a *args, name string) Pointer {
	if !a.has(name) {
		return nil
	}
	return messageOf[Message, Pointer](a, name, a.given[name])
}

func messageList[Message any, Pointer interface {
	*Message
	proto.Message
}](a *args, name string) []Pointer {
	var list []Pointer
	for _, each := range read[[]json.RawMessage](a, name) {
		list = append(list, messageOf[Message, Pointer](a, name, each))
	}
	return list
}

func messageOf[Message any, Pointer interface {
	*Message
	proto.Message
}](a *args, name string, text json.RawMessage) Pointer {
	read := Pointer(new(Message))
	if err := protojson.Unmarshal(text, read); err != nil && a.wrong == nil {
		a.wrong = fmt.Errorf("%s: %w", name, err)
	}
	return read
}

func (a *args) filter() *memsvc.Filter { return message[memsvc.Filter](a, "filter") }
func (a *args) consistency() *memsvc.Consistency {
	return message[memsvc.Consistency](a, "consistency")
}
func (a *args) settings() *memsvc.Settings { return message[memsvc.Settings](a, "settings") }

func (a *args) which() memsvc.Which {
	if a.has("memoryId") {
		return memsvc.ByID(a.text("memoryId"))
	}
	return memsvc.ByKey(enumerated[memsvc.Layer](a, "layer"), a.text("key"))
}

// memory reads the fields of a memory that are beside other arguments.
func (a *args) memory() *memsvc.Memory {
	fields := map[string]json.RawMessage{}
	names := (&memsvc.Memory{}).ProtoReflect().Descriptor().Fields()
	for name, value := range a.given {
		if names.ByJSONName(name) != nil && name != "etag" {
			fields[name] = value
		}
	}
	written, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	memory := messageOf[memsvc.Memory](a, "memory", written)
	if a.has("ttlSeconds") {
		memory.Expiration = &memsvcv1.Memory_Ttl{Ttl: durationpb.New(a.seconds("ttlSeconds"))}
	}
	if a.has("sessionId") {
		memory.Origin = &memsvc.Origin{SessionId: a.text("sessionId")}
	}
	return memory
}

// paths returns the names of fields as the protos write them.
func paths(names []string) []string {
	var written []string
	for _, name := range names {
		var path strings.Builder
		for _, each := range name {
			if each >= 'A' && each <= 'Z' {
				path.WriteByte('_')
				each += 'a' - 'A'
			}
			path.WriteRune(each)
		}
		written = append(written, strings.Replace(path.String(), "ttl_seconds", "ttl", 1))
	}
	return written
}

func (a *args) source() (memsvc.Source, error) {
	given := 0
	for _, name := range []string{"text", "messages", "runIds"} {
		if a.has(name) {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, fmt.Errorf("learn from a text, from messages or from runs")
	case a.has("text"):
		return memsvc.FromText(a.text("text")), nil
	case a.has("runIds"):
		return memsvc.FromRuns(a.texts("runIds")...), nil
	}
	return memsvc.FromMessages(messageList[memsvc.Message](a, "messages")...), nil
}
