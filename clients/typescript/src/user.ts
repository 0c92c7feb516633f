/** One user's memory. */
import { create } from "@bufbuild/protobuf";
import type { CallOptions, Connection, WriteOptions } from "./connection.js";
import { type Context, type ContextOptions, compileContext } from "./context.js";
import { commitFrom, Extractions } from "./extractions.js";
import { AdminService, type EraseUserResponse, type GetStatsResponse } from "./generated/memsvc/v1/admin_pb.js";
import { Layer, LearningMode, Role } from "./generated/memsvc/v1/common_pb.js";
import { type ExtractionEvent, ExtractMemoriesRequestSchema } from "./generated/memsvc/v1/extraction_pb.js";
import {
  type Commit,
  MemoryService,
  type TopicCount,
  WatchMemoriesRequestSchema,
  type WatchMemoriesResponse,
} from "./generated/memsvc/v1/memory_pb.js";
import {
  type AppendRunResponse,
  type DeleteSessionResponse,
  type HistoryPassage,
  type Run,
  type Session,
  SessionSchema,
  SessionService,
  type SessionSummary,
} from "./generated/memsvc/v1/session_pb.js";
import type { CallToolResponse, ToolFormat } from "./generated/memsvc/v1/tool_pb.js";
import type { Listing } from "./listing.js";
import { Memories, type ReadOptions } from "./memories.js";
import { type ChatMessage, chatMessages, type MessageLike, messagesToWire } from "./messages.js";
import { consistencyToWire, filterToWire, type MemoryFilter, range, type TimeRange } from "./selection.js";
import { ownSettings, type Settings } from "./settings.js";
import { ExtractionStream, MemoryStream } from "./streams.js";
import type { Subject } from "./subject.js";
import { duration } from "./time.js";
import { callTool, listTools, runToolCalls, type ToolCallOptions, type ToolDefinition } from "./tools.js";
import { enumValue, enumValues, requestId, type Word } from "./words.js";
import { target, type Which } from "./writing.js";

const LEARN_TIMEOUT_SECONDS = 300;
const WAIT_SECONDS = 60;

/** What is learned from: a text, messages, or stored runs. */
export type Source = string | Iterable<MessageLike> | { readonly runIds: readonly string[] };

export interface LearnOptions extends WriteOptions {
  readonly settings?: Settings | undefined;
}

export interface AppendRunOptions extends WriteOptions {
  readonly runId?: string;
  /** Return once it is learned from, or after so many seconds (true: 60): see `learning` in the answer. */
  readonly wait?: boolean | number;
  readonly learningMode?: Word<typeof LearningMode>;
  readonly replacesRunId?: string;
  /** Leave out system messages and what the session holds already. Default: true. */
  readonly skipStored?: boolean;
  readonly contextMemoryIds?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly settings?: Settings;
}

/** The last messages of a session, oldest first. */
export interface History {
  readonly messages: ChatMessage[];
  /** How many runs they are from. */
  readonly runCount: number;
  /** Older runs exist. */
  readonly hasMore: boolean;
  readonly summary: SessionSummary | undefined;
}

/** The four layers of a user as one nested document. */
export interface UserMemory {
  /** By layer: keyed memories at their place, other texts under "notes"; feedback as {positive, negative}. */
  // biome-ignore lint/suspicious/noExplicitAny: its form is what was learned
  readonly document: Record<string, any>;
  readonly memoryCount: number;
  readonly revision: bigint;
}

export class User {
  readonly userId: string;
  /** The user's memories, one by one. */
  readonly memories: Memories;
  /** The jobs that learn. */
  readonly extractions: Extractions;

  constructor(
    private readonly connection: Connection,
    private readonly subject: Subject,
  ) {
    this.userId = subject.userId;
    this.memories = new Memories(connection, subject);
    this.extractions = new Extractions(connection, subject);
  }

  /** Compile what is known of the user, for a system prompt. Ends after the client's `contextTimeoutSeconds`. */
  context(options: ContextOptions = {}): Promise<Context> {
    return compileContext(this.connection, this.subject, options);
  }

  /** Store one exchange of a conversation, or all of it as agents keep it; it is learned from in the background. */
  async appendRun(
    sessionId: string,
    messages: Iterable<MessageLike>,
    options: AppendRunOptions = {},
  ): Promise<AppendRunResponse> {
    const wait = options.wait === true ? WAIT_SECONDS : Number(options.wait ?? 0);
    const { runId = "", replacesRunId = "", contextMemoryIds = [], metadata = {}, skipStored = true } = options;
    const request = {
      scope: this.subject.scope,
      run: {
        sessionId,
        runId,
        messages: messagesToWire(messages),
        ...this.subject.origin,
        replacesRunId,
        contextMemoryIds: [...contextMemoryIds],
        metadata: { ...metadata },
      },
      learningMode: enumValue(LearningMode, options.learningMode, "learningMode"),
      ...(wait ? { waitForLearning: duration(wait, "wait") } : {}),
      requestId: requestId(options.requestId),
      skipStored,
      ...ownSettings(options.settings),
    };
    return this.connection.call(SessionService.method.appendRun, request, options, wait);
  }

  /**
   * Learn from a text, messages or stored runs, and iterate over what happens until it is completed. The job starts with
   * the first event asked for, is durable once `accepted` came, and goes on when the loop is left. A broken connection is
   * taken up again: stored events come once each. `timeoutSeconds` bounds the whole; by default nothing does.
   */
  extract(
    source: Source,
    options: LearnOptions & { readonly validateOnly?: boolean } = {},
  ): AsyncGenerator<ExtractionEvent, void, undefined> {
    const extract = create(ExtractMemoriesRequestSchema, {
      scope: this.subject.scope,
      source: sourceToWire(source),
      ...this.subject.origin,
      validateOnly: options.validateOnly ?? false,
      requestId: requestId(options.requestId),
      ...ownSettings(options.settings),
    });
    const from = { extract, extractionId: "", resumeToken: "" };
    const stream = new ExtractionStream(this.subject.scope, options.timeoutSeconds, from);
    return this.connection.stream(stream, options.signal);
  }

  /**
   * Learn, and return what was committed; revision 0n: there was nothing to learn. Rejects with ExtractionFailed, and with
   * DeadlineExceeded when it has not ended in `timeoutSeconds` (300): it goes on in the background then.
   */
  async learn(source: Source, options: LearnOptions = {}): Promise<Commit> {
    return commitFrom(this.extract(source, { timeoutSeconds: LEARN_TIMEOUT_SECONDS, ...options }));
  }

  /**
   * Iterate over changes as they are committed; `sendInitial` gives the present memories first. A broken connection is
   * taken up again; `resumeToken`, of an earlier event, goes on after it. Ends with `erased`.
   */
  watch(
    options: CallOptions & {
      readonly filter?: MemoryFilter;
      readonly sendInitial?: boolean;
      readonly resumeToken?: string;
    } = {},
  ): AsyncGenerator<WatchMemoriesResponse, void, undefined> {
    const request = create(WatchMemoriesRequestSchema, {
      scope: this.subject.scope,
      sendInitial: options.sendInitial ?? false,
      resumeToken: options.resumeToken ?? "",
      ...filterToWire(options.filter),
    });
    return this.connection.stream(new MemoryStream(request, options.timeoutSeconds), options.signal);
  }

  /** Get the user's memories as one nested document; undefined where there are none. */
  async get(
    options: ReadOptions & { readonly layers?: readonly Word<typeof Layer>[] } = {},
  ): Promise<UserMemory | undefined> {
    const layers = enumValues(Layer, options.layers, "layers");
    const request = { scope: this.subject.scope, layers, ...consistencyToWire(options.consistency) };
    const { documentJson, memoryCount, revision } = await this.connection.call(
      MemoryService.method.getUserMemory,
      request,
      options,
    );
    return memoryCount ? { document: JSON.parse(documentJson), memoryCount, revision } : undefined;
  }

  /** Get the messages of a session's last runs (10), oldest first, as model providers take them. */
  async history(
    sessionId: string,
    options: CallOptions & { readonly lastRuns?: number; readonly roles?: readonly Word<typeof Role>[] } = {},
  ): Promise<History> {
    const roles = enumValues(Role, options.roles, "roles");
    const request = { scope: this.subject.scope, sessionId, lastRuns: options.lastRuns ?? 10, roles };
    const reply = await this.connection.call(SessionService.method.getHistory, request, options);
    const { runCount, hasMore, summary } = reply;
    return { messages: chatMessages(reply.messages), runCount, hasMore, summary };
  }

  /** Find what was said in past conversations, by words and by meaning. */
  async searchHistory(
    query: string,
    options: ReadOptions & {
      readonly limit?: number;
      readonly sessionIds?: readonly string[];
      readonly agentIds?: readonly string[];
      readonly roles?: readonly Word<typeof Role>[];
      readonly time?: TimeRange;
      /** How many messages before and after each come along. */
      readonly besideCount?: number;
      readonly minScore?: number;
    } = {},
  ): Promise<HistoryPassage[]> {
    const request = {
      scope: this.subject.scope,
      query,
      topK: options.limit ?? 10,
      sessionIds: [...(options.sessionIds ?? [])],
      agentIds: [...(options.agentIds ?? [])],
      roles: enumValues(Role, options.roles, "roles"),
      ...(options.time ? { time: range(options.time, "time") } : {}),
      besideCount: options.besideCount ?? 0,
      minScore: options.minScore ?? 0,
      ...consistencyToWire(options.consistency),
    };
    return (await this.connection.call(SessionService.method.searchHistory, request, options)).passages;
  }

  /** List the runs of a session, or of all sessions, oldest first by default. */
  runs(
    sessionId = "",
    options: CallOptions & { readonly descending?: boolean; readonly includeReplaced?: boolean } = {},
  ): Listing<Run> {
    const { descending = false, includeReplaced = false } = options;
    const request = { scope: this.subject.scope, sessionId, descending, includeReplaced };
    return this.connection.pages(SessionService.method.listRuns, request, (reply) => reply.runs, options);
  }

  /** Get one session. Rejects with NotFound. */
  async session(sessionId: string, options: CallOptions = {}): Promise<Session> {
    const request = { scope: this.subject.scope, sessionId };
    const reply = await this.connection.call(SessionService.method.getSession, request, options);
    return reply.session ?? create(SessionSchema);
  }

  /** List the user's sessions, last used first. */
  sessions(options: CallOptions = {}): Listing<Session> {
    const request = { scope: this.subject.scope };
    return this.connection.pages(SessionService.method.listSessions, request, (reply) => reply.sessions, options);
  }

  /** Delete a session with its runs. What was learned from it stays, unless `forgetLearned`. */
  deleteSession(
    sessionId: string,
    options: WriteOptions & {
      readonly forgetLearned?: boolean;
      readonly purge?: boolean;
      readonly allowMissing?: boolean;
    } = {},
  ): Promise<DeleteSessionResponse> {
    const { forgetLearned = false, purge = false, allowMissing = false } = options;
    const request = {
      scope: this.subject.scope,
      sessionId,
      forgetLearned,
      purge,
      allowMissing,
      requestId: requestId(options.requestId),
    };
    return this.connection.call(SessionService.method.deleteSession, request, options);
  }

  /** List the tools that the configuration allows, as the provider takes them: "openai", "anthropic", "mcp", "generic". */
  tools(
    format: Word<typeof ToolFormat> = "openai",
    options: CallOptions & { readonly settings?: Settings } = {},
  ): Promise<ToolDefinition[]> {
    return listTools(this.connection, this.subject, format, options);
  }

  /** Carry out one call of a tool. What the model can mend is an answer with `isError`. */
  callTool(name: string, given: object | string = {}, options: ToolCallOptions = {}): Promise<CallToolResponse> {
    return callTool(this.connection, this.subject, name, given, options);
  }

  /** Carry out the calls of memory's tools in a model's message (OpenAI's form); return the messages that answer them. */
  runToolCalls(message: ChatMessage, options: ToolCallOptions = {}): Promise<ChatMessage[]> {
    return runToolCalls(this.connection, this.subject, message, options);
  }

  /** List topics with the number of memories that have them, most frequent first. */
  topics(filter?: MemoryFilter, options: ReadOptions = {}): Listing<TopicCount> {
    const request = { scope: this.subject.scope, ...filterToWire(filter), ...consistencyToWire(options.consistency) };
    return this.connection.pages(MemoryService.method.listTopics, request, (reply) => reply.topics, options);
  }

  /** List what happened to one memory, or to all of them; newest first. */
  changes(which?: Which, options: CallOptions = {}): Listing<Commit> {
    const request = { scope: this.subject.scope, ...(which === undefined ? {} : { target: target(which) }) };
    return this.connection.pages(MemoryService.method.listMemoryChanges, request, (reply) => reply.commits, options);
  }

  /** Count what the user has. */
  stats(options: ReadOptions = {}): Promise<GetStatsResponse> {
    const request = { scope: this.subject.scope, ...consistencyToWire(options.consistency) };
    return this.connection.call(AdminService.method.getStats, request, options);
  }

  /** Erase everything about the user: memories, history, runs, queued jobs. */
  erase(options: WriteOptions = {}): Promise<EraseUserResponse> {
    const request = { scope: this.subject.scope, requestId: requestId(options.requestId) };
    return this.connection.call(AdminService.method.eraseUser, request, options);
  }
}

function sourceToWire(source: Source) {
  if (typeof source === "string") {
    if (!source) throw new TypeError("what is learned from must not be empty");
    return { case: "messages" as const, value: { messages: messagesToWire([["user", source]]) } };
  }
  if ("runIds" in source) return { case: "runs" as const, value: { runIds: [...source.runIds] } };
  return { case: "messages" as const, value: { messages: messagesToWire(source) } };
}
