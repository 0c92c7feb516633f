/**
 * Streams that outlive their connection: what to ask for next, what was seen already, when to give up.
 *
 * No I/O here: a connection sends what `beginLeg` says, hands over what comes, and asks `retryDelay` when it breaks. One
 * connection's worth is a leg. Each leg has a deadline of its own, longer than the server's heartbeat: a server that hangs
 * is noticed, a stream that lives goes on in the next leg.
 */
import type { DescMethodServerStreaming, MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { DeadlineExceeded, type MemoryServiceError, Unavailable } from "./errors.js";
import type { Scope } from "./generated/memsvc/v1/common_pb.js";
import {
  type ExtractionEvent,
  ExtractionService,
  type ExtractMemoriesRequestSchema,
  WatchExtractionRequestSchema,
} from "./generated/memsvc/v1/extraction_pb.js";
import {
  MemoryService,
  type WatchMemoriesRequest,
  type WatchMemoriesResponse,
} from "./generated/memsvc/v1/memory_pb.js";

/** Eight heartbeats. */
const LEG_SECONDS = 120;
/** How long a stream that has begun looks for a server, before it gives up. */
const RECONNECT_SECONDS = 60;
const FIRST_DELAY_SECONDS = 0.1;
const MAX_DELAY_SECONDS = 1;

/** One connection of a stream. */
export interface Leg {
  // biome-ignore lint/suspicious/noExplicitAny: which RPC it is changes from leg to leg
  readonly method: DescMethodServerStreaming<any, any>;
  // biome-ignore lint/suspicious/noExplicitAny: and so does its request
  readonly request: any;
  readonly seconds: number;
}

/** Events of type T, from one leg to the next. Used once, by one reader. */
export abstract class EventStream<T> {
  /** The last event was seen. */
  ended = false;
  /** What an error should tell of the stream. */
  protected readonly metadata: Record<string, string> = {};
  private deadline = Number.POSITIVE_INFINITY;
  private begun = false;
  private answered = false;
  private heard = false;
  private failures = 0;
  private silentSince: number | undefined;
  private patience = RECONNECT_SECONDS;

  constructor(
    private readonly timeoutSeconds: number | undefined,
    private readonly clock: () => number = () => performance.now() / 1000,
  ) {}

  /** Return what to ask for, to get what was not seen yet. */
  protected abstract nextRequest(): Omit<Leg, "seconds">;

  /** Return the event in a reply; undefined where there is nothing new in it. Sets `ended` at the last one. */
  protected abstract read(reply: unknown): T | undefined;

  /** Return what to send now. Throws DeadlineExceeded when the time for the whole stream is over. */
  beginLeg(): Leg {
    const now = this.clock();
    if (!this.begun && this.timeoutSeconds !== undefined) this.deadline = now + this.timeoutSeconds;
    if (this.deadline <= now) {
      const message = `the stream had not ended after ${this.timeoutSeconds} s; its work goes on`;
      throw new DeadlineExceeded(message, { metadata: this.metadata });
    }
    this.heard = false;
    this.begun = true;
    return { ...this.nextRequest(), seconds: Math.min(this.deadline - now, LEG_SECONDS) };
  }

  /** Return the event in a reply; undefined where there is nothing new in it. */
  take(reply: unknown): T | undefined {
    this.heard = this.answered = true;
    this.failures = 0;
    this.silentSince = undefined;
    return this.read(reply);
  }

  /**
   * Return after how many seconds the next leg should begin; undefined: give up. Until something was heard a server is
   * looked for as long as `patienceSeconds`.
   */
  retryDelay(failure: MemoryServiceError, patienceSeconds: number): number | undefined {
    const now = this.clock();
    if (!(failure instanceof Unavailable || failure instanceof DeadlineExceeded)) return undefined;
    if (now >= this.deadline) return 0;
    if (this.heard && failure instanceof DeadlineExceeded) return 0;
    if (this.silentSince === undefined) {
      this.silentSince = now;
      this.patience = this.answered ? RECONNECT_SECONDS : patienceSeconds;
    }
    const backoff = Math.min(FIRST_DELAY_SECONDS * 2 ** this.failures++, MAX_DELAY_SECONDS);
    const wanted = Math.max(backoff * (0.8 + 0.4 * Math.random()), failure.retryAfterSeconds ?? 0);
    const delay = Math.min(wanted, this.deadline - now);
    return now + delay <= this.silentSince + this.patience ? delay : undefined;
  }
}

/** The events of one extraction. Stored ones come once each; hints of an attempt that is over are left out. */
export class ExtractionStream extends EventStream<ExtractionEvent> {
  private number = 0n;
  private attempt = 0;

  constructor(
    private readonly scope: Scope,
    timeoutSeconds: number | undefined,
    private readonly from: {
      readonly extract?: MessageInitShape<typeof ExtractMemoriesRequestSchema>;
      extractionId: string;
      resumeToken: string;
    },
    clock?: () => number,
  ) {
    super(timeoutSeconds, clock);
  }

  protected override nextRequest(): Omit<Leg, "seconds"> {
    const { extract, extractionId, resumeToken } = this.from;
    if (extract !== undefined && !resumeToken) {
      return { method: ExtractionService.method.extractMemories, request: extract };
    }
    const request = create(WatchExtractionRequestSchema, { scope: this.scope, extractionId, resumeToken });
    return { method: ExtractionService.method.watchExtraction, request };
  }

  protected override read(reply: { event?: ExtractionEvent }): ExtractionEvent | undefined {
    const event = reply.event;
    if (event === undefined) return undefined;
    if (event.number) {
      if (event.number <= this.number) return undefined;
      this.number = event.number;
      this.from.resumeToken = event.resumeToken;
    }
    switch (event.event.case) {
      case undefined:
      case "heartbeat":
        return undefined;
      case "accepted":
        this.from.extractionId = event.event.value.extraction?.extractionId ?? "";
        this.metadata["extraction_id"] = this.from.extractionId;
        break;
      case "progress":
      case "proposed":
        if (event.event.value.attempt < this.attempt) return undefined;
        this.attempt = event.event.value.attempt;
        break;
      case "retried":
        this.attempt = 0;
        break;
      case "completed":
        this.ended = true;
        break;
    }
    return event;
  }
}

/** Changes of one user's memories. */
export class MemoryStream extends EventStream<WatchMemoriesResponse> {
  constructor(
    private readonly request: WatchMemoriesRequest,
    timeoutSeconds: number | undefined,
    clock?: () => number,
  ) {
    super(timeoutSeconds, clock);
  }

  protected override nextRequest(): Omit<Leg, "seconds"> {
    return { method: MemoryService.method.watchMemories, request: { ...this.request } };
  }

  protected override read(reply: WatchMemoriesResponse): WatchMemoriesResponse | undefined {
    if (reply.resumeToken) this.request.resumeToken = reply.resumeToken;
    switch (reply.event.case) {
      case undefined:
        return undefined;
      case "initialDone":
        this.request.sendInitial = false;
        break;
      case "erased":
        this.ended = true;
        break;
    }
    return reply;
  }
}
