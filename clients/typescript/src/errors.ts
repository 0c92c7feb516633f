/**
 * One tree of errors: each carries the server's reason, its message and the fields that it is about.
 *
 * MemoryServiceError
 * ├── InvalidArgument      a field of the request is wrong: `fields` names it
 * ├── NotFound             what was named does not exist
 * ├── AlreadyExists        the id or key is taken
 * ├── FailedPrecondition   the state does not allow it
 * ├── Aborted              an etag or expected revision is stale: read again and retry
 * ├── OutOfRange           a token points before what is kept
 * ├── ResourceExhausted    a quota or size limit
 * ├── Unavailable          the server, its database or its model does not answer: retry after a while
 * ├── DeadlineExceeded     the call's deadline passed; a write may have happened
 * ├── PermissionDenied     the token may not do that
 * ├── Unauthenticated      the token is missing or wrong
 * ├── Unimplemented        this server does not offer it
 * ├── Cancelled            the server cancelled the call
 * ├── DataLoss             stored data cannot be read
 * ├── Internal             a defect of the server
 * ├── Unknown              a status of another kind
 * └── ExtractionFailed     learning ended without effect: FAILED or CANCELLED
 *
 * A client that is closed rejects with FailedPrecondition, CLIENT_CLOSED.
 * A call that its own AbortSignal ended rejects with the signal's reason, as `fetch` does. A wrong argument that the client
 * can tell is a `TypeError` or `RangeError`, before anything is sent.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./generated/google/rpc/error_details_pb.js";
import type { ExtractionState } from "./generated/memsvc/v1/extraction_pb.js";
import { Reason } from "./generated/memsvc/v1/reason_pb.js";

/** Why, in one word that programs can switch on. */
export type ReasonName = Exclude<keyof typeof Reason, "UNSPECIFIED">;

/** One wrong field of a request: its path as in the protos, and what it must be. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** What an error tells besides its message. */
export interface ErrorDetails {
  readonly reason?: string;
  readonly fields?: readonly FieldViolation[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/** A call did not succeed. */
export class MemoryServiceError extends Error {
  /** The gRPC status: `NOT_FOUND`. */
  readonly code: string = "UNKNOWN";
  /** Why. Empty where the transport failed, not the server; a newer server may send one that is not known here. */
  readonly reason: ReasonName | "" | (string & {});
  readonly fields: readonly FieldViolation[];
  /** More about the reason, for example the id of the memory that holds a key. */
  readonly metadata: Readonly<Record<string, string>>;
  /** After how many seconds the server suggests to try again; undefined: it suggests nothing. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = new.target.name;
    this.reason = details.reason ?? "";
    this.fields = details.fields ?? [];
    this.metadata = details.metadata ?? {};
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

export class InvalidArgument extends MemoryServiceError {
  override readonly code = "INVALID_ARGUMENT";
}
export class NotFound extends MemoryServiceError {
  override readonly code = "NOT_FOUND";
}
export class AlreadyExists extends MemoryServiceError {
  override readonly code = "ALREADY_EXISTS";
}
export class FailedPrecondition extends MemoryServiceError {
  override readonly code = "FAILED_PRECONDITION";
}
export class Aborted extends MemoryServiceError {
  override readonly code = "ABORTED";
}
export class OutOfRange extends MemoryServiceError {
  override readonly code = "OUT_OF_RANGE";
}
export class ResourceExhausted extends MemoryServiceError {
  override readonly code = "RESOURCE_EXHAUSTED";
}
export class Unavailable extends MemoryServiceError {
  override readonly code = "UNAVAILABLE";
}
export class DeadlineExceeded extends MemoryServiceError {
  override readonly code = "DEADLINE_EXCEEDED";
}
export class PermissionDenied extends MemoryServiceError {
  override readonly code = "PERMISSION_DENIED";
}
export class Unauthenticated extends MemoryServiceError {
  override readonly code = "UNAUTHENTICATED";
}
export class Unimplemented extends MemoryServiceError {
  override readonly code = "UNIMPLEMENTED";
}
export class Cancelled extends MemoryServiceError {
  override readonly code = "CANCELLED";
}
export class DataLoss extends MemoryServiceError {
  override readonly code = "DATA_LOSS";
}
export class Internal extends MemoryServiceError {
  override readonly code = "INTERNAL";
}
export class Unknown extends MemoryServiceError {}

/** Learning ended without effect. `reason` says why: MODEL_REFUSED, CANCELLED_BY_REQUEST, … */
export class ExtractionFailed extends MemoryServiceError {
  override readonly code = "EXTRACTION_FAILED";
  constructor(
    message: string,
    reason: string,
    readonly extractionId: string,
    readonly state: ExtractionState,
  ) {
    super(message, { reason });
  }
}

type Kind = new (message: string, details: ErrorDetails) => MemoryServiceError;

const KINDS: Readonly<Record<number, Kind>> = {
  [Code.InvalidArgument]: InvalidArgument,
  [Code.NotFound]: NotFound,
  [Code.AlreadyExists]: AlreadyExists,
  [Code.FailedPrecondition]: FailedPrecondition,
  [Code.Aborted]: Aborted,
  [Code.OutOfRange]: OutOfRange,
  [Code.ResourceExhausted]: ResourceExhausted,
  [Code.Unavailable]: Unavailable,
  [Code.DeadlineExceeded]: DeadlineExceeded,
  [Code.PermissionDenied]: PermissionDenied,
  [Code.Unauthenticated]: Unauthenticated,
  [Code.Unimplemented]: Unimplemented,
  [Code.Canceled]: Cancelled,
  [Code.DataLoss]: DataLoss,
  [Code.Internal]: Internal,
};

/**
 * What connect says when a connection is refused, breaks or ends in the middle, depending on where that happened: the
 * server itself never fails so without saying why in an ErrorInfo.
 */
const TRANSPORT_CODES: ReadonlySet<Code> = new Set([
  Code.Canceled,
  Code.Aborted,
  Code.Internal,
  Code.Unknown,
  Code.Unavailable,
]);

/** Return the typed error for whatever a transport threw. */
export function errorFrom(thrown: unknown): MemoryServiceError {
  if (thrown instanceof MemoryServiceError) return thrown;
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  if (info === undefined && TRANSPORT_CODES.has(error.code)) {
    return new Unavailable(error.rawMessage, { cause: thrown });
  }
  const retry = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return new (KINDS[error.code] ?? Unknown)(error.rawMessage, {
    reason: info?.reason ?? "",
    fields: error
      .findDetails(BadRequestSchema)
      .flatMap((each) => each.fieldViolations.map(({ field, description }) => ({ field, description }))),
    metadata: info?.metadata ?? {},
    retryAfterSeconds: retry && Number(retry.seconds) + retry.nanos / 1e9,
    cause: thrown,
  });
}

/** Limits of a namespace's that are over by themselves. */
const PASSING: ReadonlySet<string> = new Set<ReasonName>(["LIMIT_REACHED", "BUDGET_EXHAUSTED"]);

/** Tell whether a failure is the service's or the network's, not the caller's; so is a limit that is over by itself. */
export function serviceIsDown(failure: MemoryServiceError): boolean {
  const kinds = [Unavailable, DeadlineExceeded, Internal, DataLoss, Unknown];
  return PASSING.has(failure.reason) || kinds.some((kind) => failure instanceof kind);
}

/** Tell whether nobody answers there, or only to say goodbye; not so where a server answers without its database. */
export function serverIsGone(failure: MemoryServiceError): boolean {
  return failure instanceof Unavailable && (failure.reason === "" || failure.reason === Reason[Reason.SERVER_DRAINING]);
}
