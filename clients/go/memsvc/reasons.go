// Code generated from protos/ by clients/go/generate. DO NOT EDIT.

package memsvc

// The reasons that this client knows; a newer server may send others.
const (
	// A field is missing, too long or malformed: `memory.text: must not be empty`.
	ReasonInvalidField Reason = "INVALID_FIELD"
	// A write or a filter has a field that this server does not know: `filter.99: is no field that this server knows`.
	ReasonUnknownField Reason = "UNKNOWN_FIELD"
	// A page or resume token is malformed, or of another request or scope: `page_token: belongs to another request`.
	ReasonTokenMismatch Reason = "TOKEN_MISMATCH"
	// The request id was used for another request: `request_id: was used for another CreateMemory`.
	ReasonRequestIDReused Reason = "REQUEST_ID_REUSED"
	// No memory has this id or key: `no memory 0192…`.
	ReasonMemoryNotFound Reason = "MEMORY_NOT_FOUND"
	// No session has this id: `no session s1`.
	ReasonSessionNotFound Reason = "SESSION_NOT_FOUND"
	// No run has this id: `no run r1`.
	ReasonRunNotFound Reason = "RUN_NOT_FOUND"
	// No extraction has this id: `no extraction 0192…`.
	ReasonExtractionNotFound Reason = "EXTRACTION_NOT_FOUND"
	// The memory id is taken: `memory 0192… exists`.
	ReasonMemoryExists Reason = "MEMORY_EXISTS"
	// The key is taken in this layer: `profile key role is held by memory 0192…`.
	ReasonKeyTaken Reason = "KEY_TAKEN"
	// The run id is taken: `run r1 exists`.
	ReasonRunExists Reason = "RUN_EXISTS"
	// A key would be both a leaf and a branch: `stack is a leaf, stack.languages needs a branch`.
	ReasonKeyConflict Reason = "KEY_CONFLICT"
	// The memory changed since it was read: `memory 0192… is at etag 7-3f2a`.
	ReasonEtagMismatch Reason = "ETAG_MISMATCH"
	// The user changed since it was read: `user is at revision 7, expected 5`.
	ReasonRevisionMismatch Reason = "REVISION_MISMATCH"
	// Other writers of this user kept winning: `gave up after 32 tries`.
	ReasonTooManyConflicts Reason = "TOO_MANY_CONFLICTS"
	// `at_least_revision` is ahead of what exists: `user is at revision 7, asked for 9`.
	ReasonRevisionNotReached Reason = "REVISION_NOT_REACHED"
	// The user is full: `user has 10000 of 10000 memories`.
	ReasonQuotaExceeded Reason = "QUOTA_EXCEEDED"
	// So many extractions of the user have not ended that no more are accepted: `1000 extractions of the user have not
	// ended: wait, or cancel some`.
	ReasonTooManyExtractions Reason = "TOO_MANY_EXTRACTIONS"
	// The reply would pass 3 MiB: `document is 3.4 MiB`.
	ReasonResultTooLarge Reason = "RESULT_TOO_LARGE"
	// The request, or what it would write, is larger than the server takes: `request is 5.1 MiB of 4 MiB`.
	ReasonRequestTooLarge Reason = "REQUEST_TOO_LARGE"
	// The user was erased after this request was first sent: `user was erased`.
	ReasonUserErased Reason = "USER_ERASED"
	// The journal no longer reaches back that far: `journal starts at 120, asked for 17`.
	ReasonHistoryTrimmed Reason = "HISTORY_TRIMMED"
	// It needs a language model and none is configured: `no model is configured`.
	ReasonNoModel Reason = "NO_MODEL"
	// It needs vectors and no embedder is configured: `no embedder is configured`.
	ReasonNoEmbedder Reason = "NO_EMBEDDER"
	// This server does not offer it: `no method /memsvc.v1.MemoryService/Guess`.
	ReasonNotSupported Reason = "NOT_SUPPORTED"
	// The configuration does not allow what was asked for: `clearing a user's memory is switched off`.
	ReasonOperationForbidden Reason = "OPERATION_FORBIDDEN"
	// The extraction has ended already: `extraction 0192… has SUCCEEDED`.
	ReasonExtractionEnded Reason = "EXTRACTION_ENDED"
	// CancelExtraction, or the end of what it reads, ended it: `its session was deleted`.
	ReasonCancelledByRequest Reason = "CANCELLED_BY_REQUEST"
	// The database does not answer: `database did not answer`.
	ReasonStorageUnavailable Reason = "STORAGE_UNAVAILABLE"
	// The disk, or the database, is full or read-only: `database cannot write: disk full`.
	ReasonStorageFull Reason = "STORAGE_FULL"
	// The server has all the calls it takes at once: `4000 calls are under way`.
	ReasonTooManyCalls Reason = "TOO_MANY_CALLS"
	// The database has another schema version: `schema 3, this memsvc needs 2`.
	ReasonSchemaMismatch Reason = "SCHEMA_MISMATCH"
	// The server is stopping; connect again: `server is stopping`.
	ReasonServerDraining Reason = "SERVER_DRAINING"
	// The model endpoint does not answer or answers 5xx: `model endpoint answered 503`.
	ReasonModelUnavailable Reason = "MODEL_UNAVAILABLE"
	// The model endpoint takes no more for now: `model endpoint answered 429`.
	ReasonModelRateLimited Reason = "MODEL_RATE_LIMITED"
	// The model did not answer, or went silent, in time: `model was silent for 60 s`.
	ReasonModelTimeout Reason = "MODEL_TIMEOUT"
	// The model's output could not be read even after repair: `operations[0].text: must not be empty`.
	ReasonModelOutputUnusable Reason = "MODEL_OUTPUT_UNUSABLE"
	// The model's output passed its limit: `output passed 1 MiB`.
	ReasonModelOutputTooLarge Reason = "MODEL_OUTPUT_TOO_LARGE"
	// The model refused: `model refused to answer`.
	ReasonModelRefused Reason = "MODEL_REFUSED"
	// The model endpoint rejects the request, a wrong key or an unknown model: `model endpoint answered 401`.
	ReasonModelRejected Reason = "MODEL_REJECTED"
	// Workers died or hung while they worked on it, too often: `5 workers were lost`.
	ReasonWorkerLost Reason = "WORKER_LOST"
	// It waited longer than `max_wait`: `waited for 7 days`.
	ReasonGaveUp Reason = "GAVE_UP"
	// A defect of memsvc; the server's log has it: `internal error`.
	ReasonInternal Reason = "INTERNAL"
	// What is inferred would have replaced what was stated: `what is inferred does not replace what was stated`.
	ReasonOutranked Reason = "OUTRANKED"
	// What was said earlier would have replaced what was said later: `... does not replace what was said later`.
	ReasonOutdated Reason = "OUTDATED"
	// An extraction would have deleted more than it may without a wish to forget: `too many memories would go ...`.
	ReasonTooManyDeletions Reason = "TOO_MANY_DELETIONS"
	// The embedder does not answer, and the search asked for meaning alone: `no answer within 2 s`.
	ReasonEmbedderUnavailable Reason = "EMBEDDER_UNAVAILABLE"
	// The server had not worked out the answer when the call's time was over: `answer was not ready before the deadline`.
	ReasonOutOfTime Reason = "OUT_OF_TIME"
	// What would be undone was changed again since: `memory 0192… was changed again after revision 7`.
	ReasonChangedSince Reason = "CHANGED_SINCE"
	// What would be restored was purged: `the text of memory 0192… was purged`.
	ReasonMemoryPurged Reason = "MEMORY_PURGED"
	// The server asks who calls, and no token, JWT or certificate of the call says so: `a token is needed`.
	ReasonUnauthenticated Reason = "UNAUTHENTICATED"
	// The caller may not do that: `the request needs the right write`.
	ReasonPermissionDenied Reason = "PERMISSION_DENIED"
	// The caller, or its namespace, has as much as it may have at once or in a second: `50 calls a second`.
	ReasonLimitReached Reason = "LIMIT_REACHED"
	// What models may cost the namespace today is spent: `1000000 model tokens of 1000000 are spent until ...`.
	ReasonBudgetExhausted Reason = "BUDGET_EXHAUSTED"
	// What a tool is to forget fits several memories, or none wholly: `several memories fit that: name one by its number`.
	ReasonAmbiguous Reason = "AMBIGUOUS"
	// A value does not fit its layer's schema: `memory.value_json: profile.years must be an integer`.
	ReasonSchemaViolation Reason = "SCHEMA_VIOLATION"
	// Nothing is learned into the layer: `nothing is learned into profile`.
	ReasonLayerNotLearned Reason = "LAYER_NOT_LEARNED"
	// Only what the user stated is learned into the layer: `only what is stated is learned into profile`.
	ReasonNotStated Reason = "NOT_STATED"
	// Another message of the session has this number: `message 7 of the session is another one`.
	ReasonNumberReused Reason = "NUMBER_REUSED"
)
