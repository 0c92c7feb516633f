/** The jobs that learn for one user, and what is seen of them. */
import { create } from "@bufbuild/protobuf";
import type { CallOptions, Connection, WriteOptions } from "./connection.js";
import { ExtractionFailed } from "./errors.js";
import {
  type Extraction,
  type ExtractionEvent,
  ExtractionSchema,
  ExtractionService,
  ExtractionState,
} from "./generated/memsvc/v1/extraction_pb.js";
import { type Commit, CommitSchema } from "./generated/memsvc/v1/memory_pb.js";
import type { Listing } from "./listing.js";
import { ExtractionStream } from "./streams.js";
import type { Subject } from "./subject.js";
import { enumValues, requestId, type Word } from "./words.js";

const methods = ExtractionService.method;

export class Extractions {
  constructor(
    private readonly connection: Connection,
    private readonly subject: Subject,
  ) {}

  /** Get one extraction. Rejects with NotFound. */
  async get(extractionId: string, options: CallOptions = {}): Promise<Extraction> {
    const request = { scope: this.subject.scope, extractionId };
    return extractionIn(await this.connection.call(methods.getExtraction, request, options));
  }

  /** List the user's extractions, newest first. */
  list(
    options: CallOptions & {
      readonly states?: readonly Word<typeof ExtractionState>[];
      readonly sessionId?: string;
    } = {},
  ): Listing<Extraction> {
    const states = enumValues(ExtractionState, options.states, "states");
    const request = { scope: this.subject.scope, states, sessionId: options.sessionId ?? "" };
    return this.connection.pages(methods.listExtractions, request, (reply) => reply.extractions, options);
  }

  /** Iterate over what happens to an extraction, from its start or from after an earlier event. */
  watch(
    extractionId: string,
    options: CallOptions & { readonly resumeToken?: string } = {},
  ): AsyncGenerator<ExtractionEvent, void, undefined> {
    const from = { extractionId, resumeToken: options.resumeToken ?? "" };
    const stream = new ExtractionStream(this.subject.scope, options.timeoutSeconds, from);
    return this.connection.stream(stream, options.signal);
  }

  /** Cancel an extraction; its runs are SKIPPED. Rejects with FailedPrecondition where it has ended. */
  async cancel(extractionId: string, options: WriteOptions = {}): Promise<Extraction> {
    const request = { scope: this.subject.scope, extractionId, requestId: requestId(options.requestId) };
    return extractionIn(await this.connection.call(methods.cancelExtraction, request, options));
  }

  /** Make extractions that failed or were cancelled wait again. Without ids: those that FAILED, at most 100 at a time. */
  async retry(extractionIds: readonly string[] = [], options: WriteOptions = {}): Promise<Extraction[]> {
    const ids = { extractionIds: [...extractionIds], requestId: requestId(options.requestId) };
    const reply = await this.connection.call(methods.retryExtractions, { scope: this.subject.scope, ...ids }, options);
    return reply.extractions;
  }
}

/** Return what the events of a whole extraction say was learned. Rejects with ExtractionFailed. */
export async function commitFrom(events: AsyncIterable<ExtractionEvent>): Promise<Commit> {
  let commit = create(CommitSchema);
  let extractionId = "";
  let failure: ExtractionFailed | undefined;
  for await (const { event } of events) {
    if (event.case === "accepted") extractionId = event.value.extraction?.extractionId ?? "";
    else if (event.case === "committed") commit = event.value.commit ?? commit;
    else if (event.case === "retried") failure = undefined;
    else if (event.case === "failed") {
      const { reason, detail, state } = event.value;
      const message = detail || `extraction ${extractionId} is ${ExtractionState[state] ?? state}`;
      failure = new ExtractionFailed(message, reason, extractionId, state);
    }
  }
  if (failure) throw failure;
  return commit;
}

function extractionIn(reply: { readonly extraction?: Extraction | undefined }): Extraction {
  return reply.extraction ?? create(ExtractionSchema);
}
