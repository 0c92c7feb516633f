package memsvc

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// Memories are one user's memories, one by one.
type Memories struct {
	user *User
}

// AddOptions are those of Memories.Add.
type AddOptions struct {
	// Duplicate makes another memory of a text that the layer has already.
	Duplicate bool
	// ExpectedRevision guards the write: it fails unless the user is at this revision; 0: only if there is none yet.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Add remembers a memory, in the layer KNOWLEDGE by default, and returns it as it is stored. Only Text is required.
//
// A text that the layer has already stays one memory, with the topics and metadata of both, and is returned, unless a
// memory id or key is given. One that is taken is AlreadyExists.
func (m *Memories) Add(ctx context.Context, memory *Memory, options *AddOptions) (*Memory, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	reply, err := m.user.client.rpc.memories.CreateMemory(ctx, &memsvcv1.CreateMemoryRequest{
		Scope:            m.user.scope(),
		Memory:           m.user.own(memory),
		MergeSameText:    !options.Duplicate,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	})
	return reply.GetMemory(), err
}

// GetOptions are those of Memories.Get.
type GetOptions struct {
	Consistency *Consistency
}

// Get gets one memory.
func (m *Memories) Get(ctx context.Context, which Which, options *GetOptions) (*Memory, error) {
	if err := m.user.checkWith(which); err != nil {
		return nil, err
	}
	request := &memsvcv1.GetMemoryRequest{Scope: m.user.scope(), Consistency: or(options).Consistency}
	if request.Target = (&memsvcv1.GetMemoryRequest_MemoryId{MemoryId: which.id}); which.address != nil {
		request.Target = &memsvcv1.GetMemoryRequest_Address{Address: which.address}
	}
	reply, err := m.user.client.rpc.memories.GetMemory(ctx, request)
	return reply.GetMemory(), err
}

// UpdateOptions are those of Memories.Update, Replace and Upsert.
type UpdateOptions struct {
	// Etag guards the write: it fails where the memory has another one now.
	Etag string
	// ExpectedRevision guards it too: it fails unless the user is at this revision.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Update sets the fields that paths names, by their names in the proto ("topics", "value_json"), to what values has; what is
// named and not set is cleared. It returns the memory as it is stored.
func (m *Memories) Update(
	ctx context.Context, which Which, values *Memory, paths []string, options *UpdateOptions,
) (*Memory, error) {
	return m.update(ctx, which, values, paths, false, options)
}

// Replace changes what a memory says. A value at its key goes with the old text.
func (m *Memories) Replace(ctx context.Context, memoryID, text string, options *UpdateOptions) (*Memory, error) {
	return m.update(ctx, ByID(memoryID), &Memory{Text: text}, []string{"text", "value_json"}, false, options)
}

// Upsert sets what is known at a key, and creates the memory where there is none: a value, anything that JSON can hold, or
// the Text of a memory, or both. Without a text, "key: value" is the text; without a value, nil, the text is the value.
// What else is set in memory, which may be nil, is set too.
func (m *Memories) Upsert(
	ctx context.Context, layer Layer, key string, value any, memory *Memory, options *UpdateOptions,
) (*Memory, error) {
	values := &Memory{}
	if memory != nil {
		values = proto.Clone(memory).(*Memory)
	}
	if value == nil && values.Text == "" {
		return nil, wrong("value", "upsert needs a value or a text")
	}
	if value != nil {
		written, err := toJSON("value", value)
		if err != nil {
			return nil, err
		}
		values.ValueJson = written
		if values.Text == "" {
			values.Text = key + ": " + spoken(json.RawMessage(written))
		}
	}
	paths := []string{"text", "value_json"}
	values.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		switch name := string(field.Name()); name {
		case "layer", "key", "etag", "origin", "text", "value_json":
		default:
			paths = append(paths, name)
		}
		return true
	})
	slices.Sort(paths)
	return m.update(ctx, ByKey(layer, key), m.user.own(values), paths, true, options)
}

func (m *Memories) update(
	ctx context.Context, which Which, values *Memory, paths []string, allowMissing bool, options *UpdateOptions,
) (*Memory, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	memory, mask, err := which.changed(values, options.Etag, paths)
	if err != nil {
		return nil, err
	}
	reply, err := m.user.client.rpc.memories.UpdateMemory(ctx, &memsvcv1.UpdateMemoryRequest{
		Scope:            m.user.scope(),
		Memory:           memory,
		UpdateMask:       mask,
		AllowMissing:     allowMissing,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	})
	return reply.GetMemory(), err
}

// DeleteOptions are those of Memories.Delete.
type DeleteOptions struct {
	// Etag guards the write: it fails where the memory has another one now.
	Etag string
	// AllowMissing succeeds where the memory does not exist.
	AllowMissing bool
	// Purge blanks its text in the history too.
	Purge bool
	// ExpectedRevision guards the write too.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default.
	RequestID string
}

// Delete deletes a memory and returns the user's revision.
func (m *Memories) Delete(ctx context.Context, which Which, options *DeleteOptions) (revision int64, err error) {
	if err := m.user.checkWith(which); err != nil {
		return 0, err
	}
	options = or(options)
	request := &memsvcv1.DeleteMemoryRequest{
		Scope:            m.user.scope(),
		Etag:             options.Etag,
		AllowMissing:     options.AllowMissing,
		Purge:            options.Purge,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	}
	if request.Target = (&memsvcv1.DeleteMemoryRequest_MemoryId{MemoryId: which.id}); which.address != nil {
		request.Target = &memsvcv1.DeleteMemoryRequest_Address{Address: which.address}
	}
	reply, err := m.user.client.rpc.memories.DeleteMemory(ctx, request)
	return reply.GetRevision(), err
}

// ListOptions are those of Memories.List.
type ListOptions struct {
	Filter *Filter
	// Order is what the list is ordered by: last changed first by default.
	Order MemoryOrder
	// PageSize is how many come at once: 100 by default, 1,000 at most.
	PageSize    int32
	Consistency *Consistency
}

// List lists the memories that match.
func (m *Memories) List(ctx context.Context, options *ListOptions) iter.Seq2[*Memory, error] {
	options = or(options)
	request := &memsvcv1.ListMemoriesRequest{
		Scope:       m.user.scope(),
		Filter:      options.Filter,
		Order:       options.Order,
		PageSize:    options.PageSize,
		Consistency: options.Consistency,
	}
	list := m.user.client.rpc.memories.ListMemories
	return pages(ctx, m.user.check(), request, list, (*memsvcv1.ListMemoriesResponse).GetMemories)
}

// SearchOptions are those of Memories.Search.
type SearchOptions struct {
	// Method is by words and by meaning, where there are vectors, by default. SearchMethodLastN and SearchMethodFirstN take
	// no query.
	Method SearchMethod
	// Limit is 10 by default, 100 at most.
	Limit int32
	// MinScore, 0 to 1, leaves out what is less sure.
	MinScore float64
	Filter   *Filter
	// SharedUserIDs are other users, a team for instance, to search too.
	SharedUserIDs []string
	Consistency   *Consistency
}

// Search finds the memories that fit a question best.
func (m *Memories) Search(ctx context.Context, query string, options *SearchOptions) (*SearchResults, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return m.user.client.rpc.memories.SearchMemories(ctx, &memsvcv1.SearchMemoriesRequest{
		Scope:         m.user.scope(),
		Query:         query,
		Method:        options.Method,
		TopK:          options.Limit,
		MinScore:      options.MinScore,
		Filter:        options.Filter,
		SharedUserIds: options.SharedUserIDs,
		Consistency:   options.Consistency,
	})
}

// own returns a copy of a memory that comes from the handle's agent and team.
func (u *User) own(memory *Memory) *Memory {
	if memory == nil {
		memory = &Memory{}
	}
	owned := proto.Clone(memory).(*Memory)
	if owned.Origin == nil {
		owned.Origin = &Origin{}
	}
	owned.Origin.AgentId, owned.Origin.TeamId = u.agent, u.team
	return owned
}

func (u *User) checkWith(which Which) error {
	if err := u.check(); err != nil {
		return err
	}
	return which.check()
}

// spoken returns a JSON value as one would write it: a list with commas, a string as it is.
func spoken(written json.RawMessage) string {
	var text string
	if json.Unmarshal(written, &text) == nil {
		return text
	}
	var list []json.RawMessage
	if json.Unmarshal(written, &list) != nil {
		return string(written)
	}
	words := make([]string, len(list))
	for index, each := range list {
		words[index] = spoken(each)
	}
	return strings.Join(words, ", ")
}
