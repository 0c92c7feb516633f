package memsvc

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
	"time"
)

// BatchOptions are those of Memories.Batch.
type BatchOptions struct {
	// ExpectedRevision guards the write: it fails unless the user is at this revision.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Batch writes up to 1,000 operations, all or none; each memory at most once. An error names operations[i] in its fields.
func (m *Memories) Batch(ctx context.Context, operations []*Operation, options *BatchOptions) (*Commit, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	owned := make([]*Operation, len(operations))
	for index, each := range operations {
		owned[index] = m.user.ownOperation(each)
	}
	reply, err := m.user.client.rpc.memories.BatchWriteMemories(ctx, &memsvcv1.BatchWriteMemoriesRequest{
		Scope:            m.user.scope(),
		Operations:       owned,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	})
	return reply.GetCommit(), err
}

// ownOperation returns a copy of an operation; what it creates, or may create, comes from the handle's agent and team.
func (u *User) ownOperation(operation *Operation) *Operation {
	owned := proto.Clone(operation).(*Operation)
	switch operation := owned.GetOperation().(type) {
	case *memsvcv1.BatchWriteOperation_Create:
		operation.Create.Memory = u.own(operation.Create.GetMemory())
	case *memsvcv1.BatchWriteOperation_Update:
		if operation.Update.GetAllowMissing() {
			operation.Update.Memory = u.own(operation.Update.GetMemory())
		}
	}
	return owned
}

// ClearOptions are those of Memories.Clear.
type ClearOptions struct {
	// Filter names the memories; without it All has to be set.
	Filter *Filter
	// All clears all memories of the user.
	All bool
	// Purge blanks their text in the history too.
	Purge bool
	// ValidateOnly only counts them.
	ValidateOnly bool
	// ExpectedRevision guards the write: it fails unless the user is at this revision.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Clear deletes the memories that a filter names, or all, and returns how many.
func (m *Memories) Clear(ctx context.Context, options *ClearOptions) (cleared int, err error) {
	if err := m.user.check(); err != nil {
		return 0, err
	}
	options = or(options)
	if options.All == (options.Filter != nil && proto.Size(options.Filter) > 0) {
		return 0, wrong("options", "clear takes a Filter, or All")
	}
	reply, err := m.user.client.rpc.memories.ClearMemories(ctx, &memsvcv1.ClearMemoriesRequest{
		Scope:            m.user.scope(),
		Filter:           options.Filter,
		All:              options.All,
		Purge:            options.Purge,
		ValidateOnly:     options.ValidateOnly,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	})
	return int(reply.GetClearedCount()), err
}

// UndoOptions are those of Memories.Undo.
type UndoOptions struct {
	// Revision is what is undone; 0: the newest one, expirations aside.
	Revision int64
	// ValidateOnly only answers what would change.
	ValidateOnly bool
	// ExpectedRevision guards the write: it fails unless the user is at this revision.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Undo undoes a revision; an undo is undone like any other. It is FailedPrecondition where one of its memories was changed
// again later.
func (m *Memories) Undo(ctx context.Context, options *UndoOptions) (*Restored, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return m.user.client.rpc.memories.RestoreMemories(ctx, &memsvcv1.RestoreMemoriesRequest{
		Scope:            m.user.scope(),
		Target:           &memsvcv1.RestoreMemoriesRequest_RevertRevision{RevertRevision: options.Revision},
		ValidateOnly:     options.ValidateOnly,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	})
}

// RestoreOptions are those of Memories.Restore.
type RestoreOptions struct {
	// MemoryIDs are brought back; without them All has to be set.
	MemoryIDs []string
	// All brings back all memories of the user.
	All bool
	// ValidateOnly only answers what would change.
	ValidateOnly bool
	// ExpectedRevision guards the write: it fails unless the user is at this revision.
	ExpectedRevision *int64
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Restore brings memories back to what they were at a revision; 0: before the first one. What was not there then is deleted.
func (m *Memories) Restore(ctx context.Context, revision int64, options *RestoreOptions) (*Restored, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	if options.All == (len(options.MemoryIDs) > 0) {
		return nil, wrong("options", "restore takes MemoryIDs, or All")
	}
	return m.user.client.rpc.memories.RestoreMemories(ctx, &memsvcv1.RestoreMemoriesRequest{
		Scope:            m.user.scope(),
		Target:           &memsvcv1.RestoreMemoriesRequest_ToRevision{ToRevision: revision},
		MemoryIds:        options.MemoryIDs,
		All:              options.All,
		ValidateOnly:     options.ValidateOnly,
		ExpectedRevision: options.ExpectedRevision,
		RequestId:        options.RequestID,
	})
}

// ConsolidateOptions are those of Memories.Consolidate.
type ConsolidateOptions struct {
	// Wait is how long to wait until it is done; 0: not at all.
	Wait time.Duration
	// ValidateOnly only answers what would change.
	ValidateOnly bool
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Consolidate merges memories that say the same, and retires what is over or contradicted, in one commit that Undo takes back.
func (m *Memories) Consolidate(ctx context.Context, options *ConsolidateOptions) (*Consolidated, error) {
	if err := m.user.check(); err != nil {
		return nil, err
	}
	options = or(options)
	var waiting *durationpb.Duration
	if !options.ValidateOnly {
		waiting = wait(options.Wait)
	}
	return m.user.client.rpc.admin.ConsolidateMemories(ctx, &memsvcv1.ConsolidateMemoriesRequest{
		Scope:                m.user.scope(),
		ValidateOnly:         options.ValidateOnly,
		WaitForConsolidation: waiting,
		RequestId:            options.RequestID,
	})
}

// TopicsOptions are those of User.Topics.
type TopicsOptions struct {
	Filter      *Filter
	Consistency *Consistency
}

// Topics lists topics with the number of memories that have them, most frequent first.
func (u *User) Topics(ctx context.Context, options *TopicsOptions) iter.Seq2[*TopicCount, error] {
	options = or(options)
	request := &memsvcv1.ListTopicsRequest{
		Scope: u.scope(), Filter: options.Filter, Consistency: options.Consistency,
	}
	return pages(ctx, u.check(), request, u.client.rpc.memories.ListTopics, (*memsvcv1.ListTopicsResponse).GetTopics)
}

// Changes lists what happened to all memories of the user, newest first.
func (u *User) Changes(ctx context.Context) iter.Seq2[*Commit, error] {
	return u.changes(ctx, u.check(), &memsvcv1.ListMemoryChangesRequest{Scope: u.scope()})
}

// ChangesOf lists what happened to one memory, or to all that were ever at a key; newest first.
func (u *User) ChangesOf(ctx context.Context, which Which) iter.Seq2[*Commit, error] {
	request := &memsvcv1.ListMemoryChangesRequest{Scope: u.scope()}
	if request.Target = (&memsvcv1.ListMemoryChangesRequest_MemoryId{MemoryId: which.id}); which.address != nil {
		request.Target = &memsvcv1.ListMemoryChangesRequest_Address{Address: which.address}
	}
	return u.changes(ctx, u.checkWith(which), request)
}

func (u *User) changes(
	ctx context.Context, refused error, request *memsvcv1.ListMemoryChangesRequest,
) iter.Seq2[*Commit, error] {
	list := u.client.rpc.memories.ListMemoryChanges
	return pages(ctx, refused, request, list, (*memsvcv1.ListMemoryChangesResponse).GetCommits)
}

// DocumentOptions are those of User.Document.
type DocumentOptions struct {
	// Layers are all by default.
	Layers      []Layer
	Consistency *Consistency
}

// Document gets the user's memories as one nested JSON document.
func (u *User) Document(ctx context.Context, options *DocumentOptions) (*Document, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	return u.client.rpc.memories.GetUserMemory(ctx, &memsvcv1.GetUserMemoryRequest{
		Scope: u.scope(), Layers: options.Layers, Consistency: options.Consistency,
	})
}
