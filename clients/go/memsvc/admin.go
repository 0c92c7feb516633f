package memsvc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"
)

// StatsOptions are those of User.Stats.
type StatsOptions struct {
	Consistency *Consistency
}

// Stats counts what the user has.
func (u *User) Stats(ctx context.Context, options *StatsOptions) (*Stats, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	request := &memsvcv1.GetStatsRequest{Scope: u.scope(), Consistency: or(options).Consistency}
	return u.client.rpc.admin.GetStats(ctx, request)
}

// EraseOptions are those of User.Erase.
type EraseOptions struct {
	// RequestID is a UUID, made by the client by default. The same one happens once.
	RequestID string
}

// Erase erases everything about the user: memories, history, runs, queued jobs.
func (u *User) Erase(ctx context.Context, options *EraseOptions) (*ErasedUser, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	request := &memsvcv1.EraseUserRequest{Scope: u.scope(), RequestId: or(options).RequestID}
	return u.client.rpc.admin.EraseUser(ctx, request)
}

// Export lists all memories and runs of the user, as they were at the first of them.
func (u *User) Export(ctx context.Context) iter.Seq2[*ExportRecord, error] {
	request := &memsvcv1.ExportUserRequest{Scope: u.scope()}
	return pages(ctx, u.check(), request, u.client.rpc.admin.ExportUser, (*memsvcv1.ExportUserResponse).GetRecords)
}

// ImportOptions are those of User.Import.
type ImportOptions struct {
	// Mode says what to do with what is there already: to fail, by default.
	Mode ImportMode
	// Progress is told what was done so far, after each call.
	Progress func(*Imported)
}

// Imported is what an import did.
type Imported struct {
	CreatedCount     int
	SkippedCount     int
	OverwrittenCount int
	// Outcomes are one for each record, in their order.
	Outcomes []*ImportOutcome
	Revision int64
}

const (
	// A call imports at most so many records, and so much of them unless it is one.
	importRecords = 500
	importBytes   = 1 << 20
)

// Import imports what Export gave, of this user or another; ids, numbers and times are kept. Many records go in several calls,
// each of which imports all of its memories or none. An error names records[i], among all of them.
func (u *User) Import(ctx context.Context, records []*ExportRecord, options *ImportOptions) (*Imported, error) {
	if err := u.check(); err != nil {
		return nil, err
	}
	options = or(options)
	imported := &Imported{}
	for most := importRecords; len(imported.Outcomes) < len(records); {
		part := partOf(records[len(imported.Outcomes):], most)
		reply, err := u.client.rpc.admin.ImportMemories(ctx, &memsvcv1.ImportMemoriesRequest{
			Scope: u.scope(), Records: part, Mode: options.Mode,
		})
		var failure *Error
		if errors.As(err, &failure) {
			if failure.Reason == ReasonRequestTooLarge && len(part) > 1 {
				most = len(part) / 2
				continue
			}
			for index := range failure.Fields {
				failure.Fields[index].Field = amongAll(failure.Fields[index].Field, len(imported.Outcomes))
			}
		}
		if err != nil {
			return imported, err
		}
		if len(reply.GetOutcomes()) != len(part) {
			return imported, fmt.Errorf("memsvc: the server answered %d outcomes for %d records", len(reply.GetOutcomes()), len(part))
		}
		imported.add(reply)
		most = importRecords
		if options.Progress != nil {
			options.Progress(imported)
		}
	}
	return imported, nil
}

func (i *Imported) add(reply *memsvcv1.ImportMemoriesResponse) {
	i.Outcomes, i.Revision = append(i.Outcomes, reply.GetOutcomes()...), reply.GetRevision()
	for _, each := range reply.GetOutcomes() {
		switch each.GetResult() {
		case ImportResultCreated:
			i.CreatedCount++
		case ImportResultSkipped:
			i.SkippedCount++
		case ImportResultOverwritten:
			i.OverwrittenCount++
		}
	}
}

// partOf returns what one call takes of the records.
func partOf(records []*ExportRecord, most int) []*ExportRecord {
	size := 0
	for index, record := range records {
		size += proto.Size(record)
		if index == most || index > 0 && size > importBytes {
			return records[:index]
		}
	}
	return records
}

// amongAll returns a field of a call's records as that of all records, of which so many came before.
func amongAll(field string, before int) string {
	rest, is := strings.CutPrefix(field, "records[")
	digits, rest, closed := strings.Cut(rest, "]")
	number, err := strconv.Atoi(digits)
	if !is || !closed || err != nil {
		return field
	}
	return fmt.Sprintf("records[%d]%s", before+number, rest)
}

// ErasedNamespace is what was erased with a namespace.
type ErasedNamespace struct {
	ErasedUserCount   int
	ErasedMemoryCount int64
	ErasedRunCount    int64
}

// EraseNamespace erases every user of a namespace, and its configuration; its name is given twice. It takes several calls, each
// of which progress, which may be nil, is told of. Safe to repeat.
func (c *Client) EraseNamespace(
	ctx context.Context, namespace, confirm string, progress func(ErasedNamespace),
) (ErasedNamespace, error) {
	var erased ErasedNamespace
	request := &memsvcv1.EraseNamespaceRequest{Namespace: namespace, ConfirmNamespace: confirm}
	for {
		reply, err := c.rpc.admin.EraseNamespace(ctx, request)
		if err != nil {
			return erased, err
		}
		erased.ErasedUserCount += int(reply.GetErasedUserCount())
		erased.ErasedMemoryCount += reply.GetErasedMemoryCount()
		erased.ErasedRunCount += reply.GetErasedRunCount()
		if progress != nil {
			progress(erased)
		}
		if request.PageToken = reply.GetNextPageToken(); request.PageToken == "" {
			return erased, nil
		}
	}
}

// RetryAll makes all extractions that FAILED, of every user of the namespace, wait again, and returns how many.
func (c *Client) RetryAll(ctx context.Context) (retried int, err error) {
	scope := &memsvcv1.Scope{Namespace: c.settings.namespace}
	request := &memsvcv1.RetryExtractionsRequest{Scope: scope, AllUsers: true}
	for {
		reply, err := c.rpc.extractions.RetryExtractions(ctx, request)
		if err != nil {
			return retried, err
		}
		retried += int(reply.GetRetriedCount())
		if request.PageToken = reply.GetNextPageToken(); request.PageToken == "" {
			return retried, nil
		}
	}
}
