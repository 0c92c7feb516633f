// Code generated from protos/ by clients/go/generate. DO NOT EDIT.

package memsvc

import memsvcv1 "github.com/memsvc/memsvc/clients/go/memsvc/v1"

// ChangeCause: Why a memory changed.
type ChangeCause = memsvcv1.ChangeCause

// Values of ChangeCause.
const (
	// A caller asked for it.
	ChangeCauseRequested = memsvcv1.ChangeCause_CHANGE_CAUSE_REQUESTED
	// An extraction found it.
	ChangeCauseExtracted = memsvcv1.ChangeCause_CHANGE_CAUSE_EXTRACTED
	// Its expiration passed.
	ChangeCauseExpired = memsvcv1.ChangeCause_CHANGE_CAUSE_EXPIRED
	// RestoreMemories brought it back.
	ChangeCauseRestored = memsvcv1.ChangeCause_CHANGE_CAUSE_RESTORED
	// ImportMemories brought it.
	ChangeCauseImported = memsvcv1.ChangeCause_CHANGE_CAUSE_IMPORTED
	// A consolidation tidied it.
	ChangeCauseConsolidated = memsvcv1.ChangeCause_CHANGE_CAUSE_CONSOLIDATED
)

// ChangeKind: What a change did to its memory.
type ChangeKind = memsvcv1.ChangeKind

// Values of ChangeKind.
const (
	// It is new.
	ChangeKindCreated = memsvcv1.ChangeKind_CHANGE_KIND_CREATED
	// It changed.
	ChangeKindUpdated = memsvcv1.ChangeKind_CHANGE_KIND_UPDATED
	// It is gone.
	ChangeKindDeleted = memsvcv1.ChangeKind_CHANGE_KIND_DELETED
)

// ContextFormat: The form of the text.
type ContextFormat = memsvcv1.ContextFormat

// Values of ContextFormat.
const (
	// XML tags; everything from a memory is escaped.
	ContextFormatXML = memsvcv1.ContextFormat_CONTEXT_FORMAT_XML
	// Markdown headings and lists; everything from a memory is escaped.
	ContextFormatMarkdown = memsvcv1.ContextFormat_CONTEXT_FORMAT_MARKDOWN
	// One JSON object.
	ContextFormatJSON = memsvcv1.ContextFormat_CONTEXT_FORMAT_JSON
)

// ContextSectionKind: What a block of the text is.
type ContextSectionKind = memsvcv1.ContextSectionKind

// Values of ContextSectionKind.
const (
	// A line around others: of the wrapper, or of a shared user.
	ContextSectionKindWrapper = memsvcv1.ContextSectionKind_CONTEXT_SECTION_KIND_WRAPPER
	// The memories of one layer.
	ContextSectionKindMemories = memsvcv1.ContextSectionKind_CONTEXT_SECTION_KIND_MEMORIES
	// The summary of a session's older runs.
	ContextSectionKindSummary = memsvcv1.ContextSectionKind_CONTEXT_SECTION_KIND_SUMMARY
	// The last messages of a session. Not sent yet.
	ContextSectionKindHistory = memsvcv1.ContextSectionKind_CONTEXT_SECTION_KIND_HISTORY
	// Passages of past conversations that fit the query.
	ContextSectionKindRecall = memsvcv1.ContextSectionKind_CONTEXT_SECTION_KIND_RECALL
)

// CutReason: Why memories were left out.
type CutReason = memsvcv1.CutReason

// Values of CutReason.
const (
	// They did not fit the budget.
	CutReasonBudget = memsvcv1.CutReason_CUT_REASON_BUDGET
	// An explicit policy or fact says otherwise about the same key.
	CutReasonOutranked = memsvcv1.CutReason_CUT_REASON_OUTRANKED
)

// ExtractionKind: What an extraction reads.
type ExtractionKind = memsvcv1.ExtractionKind

// Values of ExtractionKind.
const (
	// Runs of a session.
	ExtractionKindRuns = memsvcv1.ExtractionKind_EXTRACTION_KIND_RUNS
	// Messages given with the request.
	ExtractionKindMessages = memsvcv1.ExtractionKind_EXTRACTION_KIND_MESSAGES
	// A task given by an agent's model.
	ExtractionKindTask = memsvcv1.ExtractionKind_EXTRACTION_KIND_TASK
	// A session, to summarize it.
	ExtractionKindSummary = memsvcv1.ExtractionKind_EXTRACTION_KIND_SUMMARY
	// The memories themselves, to tidy them.
	ExtractionKindConsolidation = memsvcv1.ExtractionKind_EXTRACTION_KIND_CONSOLIDATION
)

// ExtractionState: Where an extraction is in its life.
type ExtractionState = memsvcv1.ExtractionState

// Values of ExtractionState.
const (
	// It waits: for its quiet period, a worker, the model, or its next attempt (see reason).
	ExtractionStateWaiting = memsvcv1.ExtractionState_EXTRACTION_STATE_WAITING
	// A worker has it.
	ExtractionStateRunning = memsvcv1.ExtractionState_EXTRACTION_STATE_RUNNING
	// What there was to learn is committed.
	ExtractionStateSucceeded = memsvcv1.ExtractionState_EXTRACTION_STATE_SUCCEEDED
	// It ended without effect; RetryExtractions tries again.
	ExtractionStateFailed = memsvcv1.ExtractionState_EXTRACTION_STATE_FAILED
	// It was cancelled.
	ExtractionStateCancelled = memsvcv1.ExtractionState_EXTRACTION_STATE_CANCELLED
)

// ImportMode: What to do where something is there already: a memory with the id, or with the key (or above or below it), a run with
// the id.
type ImportMode = memsvcv1.ImportMode

// Values of ImportMode.
const (
	// Import nothing: the call fails with ALREADY_EXISTS, or FAILED_PRECONDITION, KEY_CONFLICT, and names the record.
	ImportModeFail = memsvcv1.ImportMode_IMPORT_MODE_FAIL
	// Leave what is there as it is.
	ImportModeSkip = memsvcv1.ImportMode_IMPORT_MODE_SKIP
	// Replace what is there: memories with the key too, whatever their id.
	ImportModeOverwrite = memsvcv1.ImportMode_IMPORT_MODE_OVERWRITE
)

// ImportResult: What became of a record.
type ImportResult = memsvcv1.ImportResult

// Values of ImportResult.
const (
	// It is new.
	ImportResultCreated = memsvcv1.ImportResult_IMPORT_RESULT_CREATED
	// Something was there already, and stays.
	ImportResultSkipped = memsvcv1.ImportResult_IMPORT_RESULT_SKIPPED
	// It took the place of what was there.
	ImportResultOverwritten = memsvcv1.ImportResult_IMPORT_RESULT_OVERWRITTEN
)

// Layer: Which part of a user's memory a fact belongs to.
type Layer = memsvcv1.Layer

// Values of Layer.
const (
	// Who the user is.
	LayerProfile = memsvcv1.Layer_LAYER_PROFILE
	// How the user wants to be served.
	LayerPolicy = memsvcv1.Layer_LAYER_POLICY
	// Facts and context.
	LayerKnowledge = memsvcv1.Layer_LAYER_KNOWLEDGE
	// What worked for the user, or did not.
	LayerFeedback = memsvcv1.Layer_LAYER_FEEDBACK
)

// LearningMode: How memory changes.
type LearningMode = memsvcv1.LearningMode

// Values of LearningMode.
const (
	// Learn from every run.
	LearningModeAutomatic = memsvcv1.LearningMode_LEARNING_MODE_AUTOMATIC
	// Learn nothing by itself: no run is learned from, no tool changes anything. ExtractMemories learns all the same.
	LearningModeOff = memsvcv1.LearningMode_LEARNING_MODE_OFF
	// The agent's model changes memory by tools. No run is learned from.
	LearningModeAgentic = memsvcv1.LearningMode_LEARNING_MODE_AGENTIC
	// Both: every run is learned from, but not again what a tool saved in it.
	LearningModeBoth = memsvcv1.LearningMode_LEARNING_MODE_BOTH
)

// LearningState: How far learning from a run has come.
type LearningState = memsvcv1.LearningState

// Values of LearningState.
const (
	// Not to be learned from.
	LearningStateOff = memsvcv1.LearningState_LEARNING_STATE_OFF
	// Waiting, or being read.
	LearningStatePending = memsvcv1.LearningState_LEARNING_STATE_PENDING
	// Read: what there was to learn is a memory.
	LearningStateLearned = memsvcv1.LearningState_LEARNING_STATE_LEARNED
	// Its extraction was cancelled.
	LearningStateSkipped = memsvcv1.LearningState_LEARNING_STATE_SKIPPED
	// Its extraction failed; RetryExtractions tries again.
	LearningStateFailed = memsvcv1.LearningState_LEARNING_STATE_FAILED
)

// MemoryOrder: What a list is ordered by; ties by memory_id.
type MemoryOrder = memsvcv1.MemoryOrder

// Values of MemoryOrder.
const (
	// Last changed first.
	MemoryOrderUpdateTimeDesc = memsvcv1.MemoryOrder_MEMORY_ORDER_UPDATE_TIME_DESC
	// First changed first.
	MemoryOrderUpdateTimeAsc = memsvcv1.MemoryOrder_MEMORY_ORDER_UPDATE_TIME_ASC
	// Newest first.
	MemoryOrderCreateTimeDesc = memsvcv1.MemoryOrder_MEMORY_ORDER_CREATE_TIME_DESC
	// Oldest first.
	MemoryOrderCreateTimeAsc = memsvcv1.MemoryOrder_MEMORY_ORDER_CREATE_TIME_ASC
	// Last observed first.
	MemoryOrderObserveTimeDesc = memsvcv1.MemoryOrder_MEMORY_ORDER_OBSERVE_TIME_DESC
	// First observed first.
	MemoryOrderObserveTimeAsc = memsvcv1.MemoryOrder_MEMORY_ORDER_OBSERVE_TIME_ASC
	// By key, keyless last.
	MemoryOrderKey = memsvcv1.MemoryOrder_MEMORY_ORDER_KEY
)

// Polarity: Whether a FEEDBACK memory says what worked or what did not.
type Polarity = memsvcv1.Polarity

// Values of Polarity.
const (
	// It worked.
	PolarityPositive = memsvcv1.Polarity_POLARITY_POSITIVE
	// It did not work.
	PolarityNegative = memsvcv1.Polarity_POLARITY_NEGATIVE
)

// Role: Who wrote a message.
type Role = memsvcv1.Role

// Values of Role.
const (
	// Instructions of the application.
	RoleSystem = memsvcv1.Role_ROLE_SYSTEM
	// The user, or another person whose words count for this user.
	RoleUser = memsvcv1.Role_ROLE_USER
	// The agent.
	RoleAssistant = memsvcv1.Role_ROLE_ASSISTANT
	// A tool's answer.
	RoleTool = memsvcv1.Role_ROLE_TOOL
)

// SearchMethod: How to search.
type SearchMethod = memsvcv1.SearchMethod

// Values of SearchMethod.
const (
	// By words: BM25 with stems and folded accents.
	SearchMethodLexical = memsvcv1.SearchMethod_SEARCH_METHOD_LEXICAL
	// By meaning: vectors. FAILED_PRECONDITION, NO_EMBEDDER without an embedder.
	SearchMethodSemantic = memsvcv1.SearchMethod_SEARCH_METHOD_SEMANTIC
	// Both, scores fused. FAILED_PRECONDITION, NO_EMBEDDER without an embedder.
	SearchMethodHybrid = memsvcv1.SearchMethod_SEARCH_METHOD_HYBRID
	// A model picks among what fits its bounded prompt, the nearest and then the newest: one call; scores say its order.
	// FAILED_PRECONDITION, NO_MODEL without a model; UNAVAILABLE where it fails.
	SearchMethodAgentic = memsvcv1.SearchMethod_SEARCH_METHOD_AGENTIC
	// Newest first by update_time. A query is INVALID_ARGUMENT.
	SearchMethodLastN = memsvcv1.SearchMethod_SEARCH_METHOD_LAST_N
	// Oldest first by update_time. A query is INVALID_ARGUMENT.
	SearchMethodFirstN = memsvcv1.SearchMethod_SEARCH_METHOD_FIRST_N
)

// ToolFormat: Whose form the definition of a tool has.
type ToolFormat = memsvcv1.ToolFormat

// Values of ToolFormat.
const (
	// {"name", "description", "parameters"}.
	ToolFormatGeneric = memsvcv1.ToolFormat_TOOL_FORMAT_GENERIC
	// {"type": "function", "function": {"name", "description", "parameters"}}: OpenAI's chat completions, and all who
	// speak that.
	ToolFormatOpenAI = memsvcv1.ToolFormat_TOOL_FORMAT_OPENAI
	// {"name", "description", "input_schema"}.
	ToolFormatAnthropic = memsvcv1.ToolFormat_TOOL_FORMAT_ANTHROPIC
	// {"name", "description", "inputSchema", "annotations"}.
	ToolFormatMCP = memsvcv1.ToolFormat_TOOL_FORMAT_MCP
)

// Trust: Where a fact came from. A derived memory is never trusted more than its sources.
type Trust = memsvcv1.Trust

// Values of Trust.
const (
	// The user said so.
	TrustStated = memsvcv1.Trust_TRUST_STATED
	// Concluded from what the user said.
	TrustInferred = memsvcv1.Trust_TRUST_INFERRED
	// A tool reported it.
	TrustFromTool = memsvcv1.Trust_TRUST_FROM_TOOL
	// Brought from another system.
	TrustImported = memsvcv1.Trust_TRUST_IMPORTED
)
