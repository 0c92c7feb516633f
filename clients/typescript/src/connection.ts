/** Carries out calls over a transport: deadlines, tokens, typed errors, pages, streams. */
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { DeadlineExceeded, errorFrom, FailedPrecondition, type MemoryServiceError, Unavailable } from "./errors.js";
import { Listing } from "./listing.js";
import type { EventStream } from "./streams.js";
import { sleep } from "./time.js";

/** What every call takes. */
export interface CallOptions {
  /** The deadline of the call; default: the client's. */
  readonly timeoutSeconds?: number | undefined;
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What every write takes. */
export interface WriteOptions extends CallOptions {
  /** Makes a repeat take effect once; default: a new one. */
  readonly requestId?: string | undefined;
}

/** How a client calls. */
export interface Manner {
  readonly timeoutSeconds: number;
  readonly contextTimeoutSeconds: number;
  readonly contextOrEmpty: boolean;
  readonly token: string | undefined;
}

type Input<I extends DescMessage> = MessageInitShape<I>;
interface Page {
  readonly nextPageToken: string;
}

/** One transport, shared by all handles of a client. */
export class Connection {
  /** What ends the calls and streams that are under way. */
  private readonly underWay = new Set<() => void>();
  private closed = false;

  constructor(
    private readonly transport: Transport,
    readonly manner: Manner,
    private readonly end: () => void = () => {},
  ) {}

  /** Send one call and return its answer. `extraSeconds` are those that the server was asked to wait. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: Input<I>,
    options: CallOptions,
    extraSeconds = 0,
  ): Promise<MessageShape<O>> {
    const seconds = (options.timeoutSeconds ?? this.manner.timeoutSeconds) + extraSeconds;
    const ending = new AbortController();
    const finished = this.begin(() => ending.abort(), options.signal);
    try {
      const answer = await this.transport.unary(method, ending.signal, milliseconds(seconds), this.headers(), request);
      return answer.message;
    } catch (thrown) {
      this.throwIfEnded(options.signal);
      throw errorFrom(thrown);
    } finally {
      finished();
    }
  }

  /** Return a list whose pages are fetched as they are needed. */
  pages<I extends DescMessage, O extends DescMessage, T>(
    method: DescMethodUnary<I, O>,
    request: Input<I>,
    read: (reply: MessageShape<O>) => readonly T[],
    options: CallOptions,
  ): Listing<T> {
    return new Listing(async (pageToken) => {
      const reply = await this.call(method, { ...request, pageToken } as Input<I>, options);
      return { items: read(reply), next: (reply as unknown as Page).nextPageToken };
    });
  }

  /** Follow a stream to its last event, over as many connections as it takes. Leaving the loop ends it. */
  async *stream<T>(stream: EventStream<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void, undefined> {
    while (!stream.ended) {
      const failure = yield* this.leg(stream, signal);
      if (stream.ended) return;
      const delay = stream.retryDelay(failure, this.manner.timeoutSeconds);
      if (delay === undefined) throw failure;
      const waiting = new AbortController();
      const finished = this.begin(() => waiting.abort(), signal);
      await sleep(delay * 1000, waiting.signal).finally(finished);
      this.throwIfEnded(signal);
    }
  }

  /** End what is under way; nothing can be called any more. */
  close(): void {
    this.closed = true;
    for (const end of this.underWay) end();
    this.end();
  }

  /** Yield the events of one connection of a stream; return why it ended. */
  private async *leg<T>(
    stream: EventStream<T>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<T, MemoryServiceError, undefined> {
    const { method, request, seconds } = stream.beginLeg();
    const ending = new AbortController();
    let replies: AsyncIterator<unknown> | undefined;
    // To leave the loop would not end a call of connect, and only who reads hears of an end, and clears its timers.
    const end = () => {
      ending.abort();
      replies?.next().catch(() => {});
    };
    const finished = this.begin(end, signal);
    try {
      const timeout = milliseconds(seconds);
      const answer = await this.transport.stream(method, ending.signal, timeout, this.headers(), once(request));
      replies = answer.message[Symbol.asyncIterator]();
      for (let next = await replies.next(); !next.done; next = await replies.next()) {
        const event = stream.take(next.value);
        if (event !== undefined) yield event;
      }
      return new Unavailable("the stream ended before its last event");
    } catch (thrown) {
      this.throwIfEnded(signal);
      return errorFrom(thrown);
    } finally {
      end();
      finished();
    }
  }

  /** Let a signal, and the end of the client, end something; return what to call once it is over. */
  private begin(end: () => void, signal: AbortSignal | undefined): () => void {
    this.throwIfEnded(signal);
    this.underWay.add(end);
    signal?.addEventListener("abort", end);
    return () => {
      this.underWay.delete(end);
      signal?.removeEventListener("abort", end);
    };
  }

  private throwIfEnded(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.closed)
      throw new FailedPrecondition("the client is closed: make another one", { reason: "CLIENT_CLOSED" });
  }

  private headers(): HeadersInit {
    return this.manner.token ? { authorization: `Bearer ${this.manner.token}` } : {};
  }
}

async function* once<T>(request: T): AsyncGenerator<T> {
  yield request;
}

/**
 * The longest deadline, a day and more: gRPC writes eight digits. Timers of JavaScript end at once where they are asked to
 * wait for more than 24 days.
 */
const LONGEST_MS = 99_999_999;

/** Return a deadline as connect takes it, for which 0 is none. Throws DeadlineExceeded where it has passed. */
function milliseconds(seconds: number): number {
  if (!(seconds > 0)) throw new DeadlineExceeded("the deadline passed before anything was sent");
  return Math.min(Math.max(1, Math.round(seconds * 1000)), LONGEST_MS);
}
