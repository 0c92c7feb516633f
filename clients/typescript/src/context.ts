/** Memories as text for a system prompt. */
import { create } from "@bufbuild/protobuf";
import type { CallOptions, Connection } from "./connection.js";
import { MemoryServiceError, serviceIsDown } from "./errors.js";
import { Layer } from "./generated/memsvc/v1/common_pb.js";
import {
  type CompileContextResponse,
  CompileContextResponseSchema,
  ContextBudgetSchema,
  ContextFormat,
  ContextHistorySchema,
  ContextService,
} from "./generated/memsvc/v1/context_pb.js";
import { type ChatMessage, chatMessages } from "./messages.js";
import { type Consistency, consistencyToWire, filterToWire, type MemoryFilter } from "./selection.js";
import { ownSettings, type Settings } from "./settings.js";
import type { Subject } from "./subject.js";
import { duration } from "./time.js";
import { enumValue, enumValues, type Word } from "./words.js";

/** How much of a session comes with a context. */
export interface ContextHistory {
  readonly sessionId: string;
  /** Default: 3. */
  readonly lastRuns?: number;
  /** At most this many characters of messages; the oldest runs go first. */
  readonly maxCharacters?: number;
  /** Also the summary of what was said before these runs, where the session has one. Default: true. */
  readonly summary?: boolean;
}

export interface ContextOptions extends CallOptions {
  /** What the user just said: under a budget the memories nearest to it stay. */
  readonly query?: string;
  readonly layers?: readonly Word<typeof Layer>[];
  readonly filter?: MemoryFilter;
  readonly sharedUserIds?: readonly string[];
  /** A session whose last messages come too. */
  readonly history?: string | ContextHistory;
  readonly format?: Word<typeof ContextFormat>;
  /** false: the bare blocks of the layers. */
  readonly wrapper?: boolean;
  /** The budget: 8,000 characters by default. */
  readonly maxCharacters?: number;
  readonly maxTokens?: number;
  /** Brings along what was said about the query in past conversations; default: where no model learns. */
  readonly recall?: boolean;
  /** That of the context you hold: the answer is `unchanged`, without a text, where it still holds. */
  readonly etag?: string;
  /** Lets what is pending be learned first, for so long at most. */
  readonly waitSeconds?: number;
  /** An empty context, with its `failure`, is the answer where the service is down; default: as the client says. */
  readonly orEmpty?: boolean;
  readonly settings?: Settings;
  readonly consistency?: Consistency;
}

/** A compiled context: `text` belongs into the system prompt. */
export type Context = Omit<CompileContextResponse, "history"> & {
  /** The messages of the session that was asked for. */
  readonly history: ChatMessage[];
  /** Why the memory did not answer, where the context is empty for that (`orEmpty`). */
  readonly failure?: MemoryServiceError;
};

/** Compile what is known of a user. */
export async function compileContext(
  connection: Connection,
  subject: Subject,
  options: ContextOptions,
): Promise<Context> {
  const { contextTimeoutSeconds, contextOrEmpty } = connection.manner;
  const wait = options.waitSeconds ?? 0;
  const timeoutSeconds = options.timeoutSeconds ?? contextTimeoutSeconds;
  const request = {
    scope: subject.scope,
    agentId: subject.agentId,
    query: options.query ?? "",
    layers: enumValues(Layer, options.layers, "layers"),
    sharedUserIds: [...(options.sharedUserIds ?? [])],
    format: enumValue(ContextFormat, options.format, "format"),
    wrapper: options.wrapper ?? true,
    etag: options.etag ?? "",
    ...filterToWire(options.filter),
    ...history(options.history),
    ...budget(options),
    ...(options.recall === undefined ? {} : { recall: options.recall }),
    ...(wait ? { waitForLearning: duration(wait, "waitSeconds") } : {}),
    ...consistencyToWire(options.consistency),
    ...ownSettings(options.settings),
  };
  try {
    const reply = await connection.call(
      ContextService.method.compileContext,
      request,
      { ...options, timeoutSeconds },
      wait,
    );
    return { ...reply, history: chatMessages(reply.history) };
  } catch (failure) {
    const wanted = options.orEmpty ?? contextOrEmpty;
    if (!wanted || !(failure instanceof MemoryServiceError) || !serviceIsDown(failure)) throw failure;
    return { ...create(CompileContextResponseSchema), history: [], failure };
  }
}

function history(given: ContextOptions["history"]) {
  if (given === undefined) return {};
  const asked = typeof given === "string" ? { sessionId: given } : given;
  return { history: create(ContextHistorySchema, { lastRuns: 3, summary: true, ...asked }) };
}

function budget({ maxCharacters, maxTokens }: ContextOptions) {
  if (maxCharacters !== undefined && maxTokens !== undefined) {
    throw new TypeError("a budget is maxCharacters or maxTokens, not both");
  }
  if (maxCharacters !== undefined) {
    return { budget: create(ContextBudgetSchema, { limit: { case: "maxCharacters", value: maxCharacters } }) };
  }
  if (maxTokens !== undefined) {
    return { budget: create(ContextBudgetSchema, { limit: { case: "maxTokens", value: maxTokens } }) };
  }
  return {};
}
