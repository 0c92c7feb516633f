"""Generated from reason.proto. Plain Python: what may not import protobuf reads the reasons here."""

import enum


class Reason(enum.StrEnum):
    """Why a call failed, an extraction waits or ended without effect, or something was refused.

    Every error has a google.rpc.ErrorInfo with the domain "memsvc.dev" and one of these as its reason, without REASON_,
    but for those that gRPC's own library answers before a server sees the call: a message of more than twice the largest
    request, and headers that it cannot read, as a malformed grpc-timeout. Extraction.reason and its like have the same
    words. Values may be added: treat one that is not known like its status.
    The text in quotes is a sample of the sentence that comes with it.
    """

    INVALID_FIELD = "INVALID_FIELD"
    """A field is missing, too long or malformed: `memory.text: must not be empty`."""

    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    """A write or a filter has a field that this server does not know: `filter.99: is no field that this server knows`."""

    TOKEN_MISMATCH = "TOKEN_MISMATCH"
    """A page or resume token is malformed, or of another request or scope: `page_token: belongs to another request`."""

    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    """The request id was used for another request: `request_id: was used for another CreateMemory`."""

    MEMORY_NOT_FOUND = "MEMORY_NOT_FOUND"
    """No memory has this id or key: `no memory 0192…`."""

    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    """No session has this id: `no session s1`."""

    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    """No run has this id: `no run r1`."""

    EXTRACTION_NOT_FOUND = "EXTRACTION_NOT_FOUND"
    """No extraction has this id: `no extraction 0192…`."""

    MEMORY_EXISTS = "MEMORY_EXISTS"
    """The memory id is taken: `memory 0192… exists`."""

    KEY_TAKEN = "KEY_TAKEN"
    """The key is taken in this layer: `profile key role is held by memory 0192…`."""

    RUN_EXISTS = "RUN_EXISTS"
    """The run id is taken: `run r1 exists`."""

    KEY_CONFLICT = "KEY_CONFLICT"
    """A key would be both a leaf and a branch: `stack is a leaf, stack.languages needs a branch`."""

    ETAG_MISMATCH = "ETAG_MISMATCH"
    """The memory changed since it was read: `memory 0192… is at etag 7-3f2a`."""

    REVISION_MISMATCH = "REVISION_MISMATCH"
    """The user changed since it was read: `user is at revision 7, expected 5`."""

    TOO_MANY_CONFLICTS = "TOO_MANY_CONFLICTS"
    """Other writers of this user kept winning: `gave up after 32 tries`."""

    REVISION_NOT_REACHED = "REVISION_NOT_REACHED"
    """`at_least_revision` is ahead of what exists: `user is at revision 7, asked for 9`."""

    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    """The user is full: `user has 10000 of 10000 memories`."""

    TOO_MANY_EXTRACTIONS = "TOO_MANY_EXTRACTIONS"
    """So many extractions of the user have not ended that no more are accepted: `1000 extractions of the user have not
    ended: wait, or cancel some`.
    """

    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    """The reply would pass 3 MiB: `document is 3.4 MiB`."""

    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    """The request, or what it would write, is larger than the server takes: `request is 5.1 MiB of 4 MiB`."""

    USER_ERASED = "USER_ERASED"
    """The user was erased after this request was first sent: `user was erased`."""

    HISTORY_TRIMMED = "HISTORY_TRIMMED"
    """The journal no longer reaches back that far: `journal starts at 120, asked for 17`."""

    NO_MODEL = "NO_MODEL"
    """It needs a language model and none is configured: `no model is configured`."""

    NO_EMBEDDER = "NO_EMBEDDER"
    """It needs vectors and no embedder is configured: `no embedder is configured`."""

    NOT_SUPPORTED = "NOT_SUPPORTED"
    """This server does not offer it: `no method /memsvc.v1.MemoryService/Guess`."""

    OPERATION_FORBIDDEN = "OPERATION_FORBIDDEN"
    """The configuration does not allow what was asked for: `clearing a user's memory is switched off`."""

    EXTRACTION_ENDED = "EXTRACTION_ENDED"
    """The extraction has ended already: `extraction 0192… has SUCCEEDED`."""

    CANCELLED_BY_REQUEST = "CANCELLED_BY_REQUEST"
    """CancelExtraction, or the end of what it reads, ended it: `its session was deleted`."""

    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    """The database does not answer: `database did not answer`."""

    STORAGE_FULL = "STORAGE_FULL"
    """The disk, or the database, is full or read-only: `database cannot write: disk full`."""

    TOO_MANY_CALLS = "TOO_MANY_CALLS"
    """The server has all the calls it takes at once: `4000 calls are under way`."""

    SCHEMA_MISMATCH = "SCHEMA_MISMATCH"
    """The database has another schema version: `schema 3, this memsvc needs 2`."""

    SERVER_DRAINING = "SERVER_DRAINING"
    """The server is stopping; connect again: `server is stopping`."""

    MODEL_UNAVAILABLE = "MODEL_UNAVAILABLE"
    """The model endpoint does not answer or answers 5xx: `model endpoint answered 503`."""

    MODEL_RATE_LIMITED = "MODEL_RATE_LIMITED"
    """The model endpoint takes no more for now: `model endpoint answered 429`."""

    MODEL_TIMEOUT = "MODEL_TIMEOUT"
    """The model did not answer, or went silent, in time: `model was silent for 60 s`."""

    MODEL_OUTPUT_UNUSABLE = "MODEL_OUTPUT_UNUSABLE"
    """The model's output could not be read even after repair: `operations[0].text: must not be empty`."""

    MODEL_OUTPUT_TOO_LARGE = "MODEL_OUTPUT_TOO_LARGE"
    """The model's output passed its limit: `output passed 1 MiB`."""

    MODEL_REFUSED = "MODEL_REFUSED"
    """The model refused: `model refused to answer`."""

    MODEL_REJECTED = "MODEL_REJECTED"
    """The model endpoint rejects the request, a wrong key or an unknown model: `model endpoint answered 401`."""

    WORKER_LOST = "WORKER_LOST"
    """Workers died or hung while they worked on it, too often: `5 workers were lost`."""

    GAVE_UP = "GAVE_UP"
    """It waited longer than `max_wait`: `waited for 7 days`."""

    INTERNAL = "INTERNAL"
    """A defect of memsvc; the server's log has it: `internal error`."""

    OUTRANKED = "OUTRANKED"
    """What is inferred would have replaced what was stated: `what is inferred does not replace what was stated`."""

    OUTDATED = "OUTDATED"
    """What was said earlier would have replaced what was said later: `... does not replace what was said later`."""

    TOO_MANY_DELETIONS = "TOO_MANY_DELETIONS"
    """An extraction would have deleted more than it may without a wish to forget: `too many memories would go ...`."""

    EMBEDDER_UNAVAILABLE = "EMBEDDER_UNAVAILABLE"
    """The embedder does not answer, and the search asked for meaning alone: `no answer within 2 s`."""

    OUT_OF_TIME = "OUT_OF_TIME"
    """The server had not worked out the answer when the call's time was over: `answer was not ready before the deadline`."""

    CHANGED_SINCE = "CHANGED_SINCE"
    """What would be undone was changed again since: `memory 0192… was changed again after revision 7`."""

    MEMORY_PURGED = "MEMORY_PURGED"
    """What would be restored was purged: `the text of memory 0192… was purged`."""

    UNAUTHENTICATED = "UNAUTHENTICATED"
    """The server asks who calls, and no token, JWT or certificate of the call says so: `a token is needed`."""

    PERMISSION_DENIED = "PERMISSION_DENIED"
    """The caller may not do that: `the request needs the right write`."""

    LIMIT_REACHED = "LIMIT_REACHED"
    """The caller, or its namespace, has as much as it may have at once or in a second: `50 calls a second`."""

    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    """What models may cost the namespace today is spent: `1000000 model tokens of 1000000 are spent until ...`."""

    AMBIGUOUS = "AMBIGUOUS"
    """What a tool is to forget fits several memories, or none wholly: `several memories fit that: name one by its number`."""

    SCHEMA_VIOLATION = "SCHEMA_VIOLATION"
    """A value does not fit its layer's schema: `memory.value_json: profile.years must be an integer`."""

    LAYER_NOT_LEARNED = "LAYER_NOT_LEARNED"
    """Nothing is learned into the layer: `nothing is learned into profile`."""

    NOT_STATED = "NOT_STATED"
    """Only what the user stated is learned into the layer: `only what is stated is learned into profile`."""

    NUMBER_REUSED = "NUMBER_REUSED"
    """Another message of the session has this number: `message 7 of the session is another one`."""
