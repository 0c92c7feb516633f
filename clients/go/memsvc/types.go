package memsvc

import memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"

// The messages of the API, under the names that this package gives them.
type (
	// Memory is one remembered fact of one user, in one layer: a sentence, with topics.
	Memory = memsvcv1.Memory
	// Origin is who and what a memory came from.
	Origin = memsvcv1.Origin
	// Filter says which memories are meant. Fields are combined with AND, values of one field with OR.
	Filter = memsvcv1.MemoryFilter
	// TimeRange is a half-open range of times.
	TimeRange = memsvcv1.TimeRange
	// Change is create, update or delete of one memory, with before and after.
	Change = memsvcv1.Change
	// Commit is changes made together, all or none.
	Commit = memsvcv1.Commit
	// Operation is one write of a batch: see CreateOperation, UpdateOperation and DeleteOperation.
	Operation = memsvcv1.BatchWriteOperation
	// Restored is what undoing or restoring did, or would do.
	Restored = memsvcv1.RestoreMemoriesResponse
	// SearchResults are the memories that a search found, best first.
	SearchResults = memsvcv1.SearchMemoriesResponse
	// SearchHit is one memory found.
	SearchHit = memsvcv1.SearchHit
	// TopicCount is a topic and how many memories have it.
	TopicCount = memsvcv1.TopicCount
	// Document is a user's memories as one nested JSON document.
	Document = memsvcv1.GetUserMemoryResponse
	// Usage is what a model cost, as its provider counted.
	Usage = memsvcv1.Usage

	// Run is one exchange in a session.
	Run = memsvcv1.Run
	// RunReceipt says that a run is stored.
	RunReceipt = memsvcv1.AppendRunResponse
	// Session is a conversation.
	Session = memsvcv1.Session
	// SessionSummary is what was said in a session, in short.
	SessionSummary = memsvcv1.SessionSummary
	// Summarized is what came of asking for a summary.
	Summarized = memsvcv1.SummarizeSessionResponse
	// DeletedSession is what deleting a session removed.
	DeletedSession = memsvcv1.DeleteSessionResponse
	// History is the last messages of a session, oldest first.
	History = memsvcv1.GetHistoryResponse
	// HistoryPassages are messages that were found in past conversations, best first.
	HistoryPassages = memsvcv1.SearchHistoryResponse
	// HistoryPassage is a message that was found, with what was said beside it.
	HistoryPassage = memsvcv1.HistoryPassage

	// Extraction is a durable job of learning.
	Extraction = memsvcv1.Extraction
	// ExtractionEvent is something that happened to an extraction: its Event is Accepted, Progress, and so on.
	ExtractionEvent = memsvcv1.ExtractionEvent
	// Accepted: the job is durable.
	Accepted = memsvcv1.ExtractionEvent_Accepted
	// Progress is a sign of work: a live hint.
	Progress = memsvcv1.ExtractionEvent_Progress
	// Proposed is a change that the engine proposes: a live hint, void once an event of a higher attempt comes.
	Proposed = memsvcv1.ExtractionEvent_Proposed
	// Refused: something that was asked for is not done.
	Refused = memsvcv1.ExtractionEvent_Refused
	// Committed: what was learned is committed; revision 0 and no changes where there was nothing to learn.
	Committed = memsvcv1.ExtractionEvent_Committed
	// Failed: the extraction ended without effect.
	Failed = memsvcv1.ExtractionEvent_Failed
	// Retried: the extraction had ended and was made to wait again.
	Retried = memsvcv1.ExtractionEvent_Retried
	// Completed: the extraction ended; the last event.
	Completed = memsvcv1.ExtractionEvent_Completed

	// WatchEvent is something that happened to a user's memories: its Event is Present, Changed, and so on.
	WatchEvent = memsvcv1.WatchMemoriesResponse
	// Present is one of the memories that were there at the start (SendInitial). It cannot be resumed from.
	Present = memsvcv1.WatchMemoriesResponse_Initial
	// PresentDone: all memories that were there at the start have come.
	PresentDone = memsvcv1.WatchMemoriesResponse_InitialDone
	// Changed is a commit, with the changes that match.
	Changed = memsvcv1.WatchMemoriesResponse_Commit
	// Bookmark: nothing happened; it moves the token forward.
	Bookmark = memsvcv1.WatchMemoriesResponse_Bookmark
	// Erased: the user was erased; the last event.
	Erased = memsvcv1.WatchMemoriesResponse_Erased

	// ContextHistory says how much of a session comes with a context.
	ContextHistory = memsvcv1.ContextHistory
	// ContextSection is one block of a context's text.
	ContextSection = memsvcv1.ContextSection
	// ContextCut is memories that were left out of a context, for one reason.
	ContextCut = memsvcv1.ContextCut

	// ToolAnswer is what became of a call of a tool.
	ToolAnswer = memsvcv1.CallToolResponse

	// Settings are how memory works. A field that is not set says nothing: the next level is heard.
	Settings = memsvcv1.MemorySettings
	// LayerSettings are those of one layer.
	LayerSettings = memsvcv1.LayerSettings
	// OperationSettings say what models may do.
	OperationSettings = memsvcv1.OperationSettings
	// RetentionSettings say how long things are kept.
	RetentionSettings = memsvcv1.RetentionSettings
	// MemoryConfig is what is configured of a namespace, or of an agent in it.
	MemoryConfig = memsvcv1.MemoryConfig

	// ServerInfo is what a server is and offers.
	ServerInfo = memsvcv1.GetServerInfoResponse
	// Stats are what a user has.
	Stats = memsvcv1.GetStatsResponse
	// ErasedUser is what an erasure removed.
	ErasedUser = memsvcv1.EraseUserResponse
	// Consolidated is what came of a consolidation.
	Consolidated = memsvcv1.ConsolidateMemoriesResponse
	// ExportRecord is one thing of a user: a memory or a run.
	ExportRecord = memsvcv1.ExportRecord
	// ImportOutcome is what became of a record.
	ImportOutcome = memsvcv1.ImportOutcome
)
