/** One user's memories, one by one. */
import { create } from "@bufbuild/protobuf";
import type { CallOptions, Connection, WriteOptions } from "./connection.js";
import type { Layer } from "./generated/memsvc/v1/common_pb.js";
import {
  type BatchWriteOperation,
  BatchWriteOperationSchema,
  type Commit,
  CommitSchema,
  type Memory,
  MemoryOrder,
  MemorySchema,
  MemoryService,
  type SearchMemoriesResponse,
  SearchMethod,
} from "./generated/memsvc/v1/memory_pb.js";
import type { Listing } from "./listing.js";
import { type Consistency, consistencyToWire, filterToWire, type MemoryFilter } from "./selection.js";
import type { Subject } from "./subject.js";
import { enumValue, requestId, type Word } from "./words.js";
import {
  changedMemory,
  type Json,
  type MemoryFields,
  type MemoryUpdate,
  type NewMemory,
  newMemory,
  spoken,
  target,
  type Which,
} from "./writing.js";

/** What writes of memories take. */
export interface MemoryWriteOptions extends WriteOptions {
  /** The write fails with Aborted unless the user is at this revision; 0n: there is nothing yet. */
  readonly expectedRevision?: bigint | undefined;
}

/** What changes of one memory take. */
export interface ChangeOptions extends MemoryWriteOptions {
  /** The write fails with Aborted where the memory changed since. */
  readonly etag?: string | undefined;
}

/** What reads take. */
export interface ReadOptions extends CallOptions {
  readonly consistency?: Consistency | undefined;
}

/** What was restored, or would be. */
export interface Restored {
  readonly commit: Commit;
  /** Memories that stay as they are, since their text of then was purged. */
  readonly purgedMemoryIds: readonly string[];
}

const methods = MemoryService.method;

export class Memories {
  constructor(
    private readonly connection: Connection,
    private readonly subject: Subject,
  ) {}

  /**
   * Remember a text, in the layer KNOWLEDGE by default, and return its memoryId. A text that the layer has already stays
   * one memory, with the topics and metadata of both; `duplicate` makes another one.
   */
  async add(
    text: string,
    fields: NewMemory & MemoryWriteOptions & { readonly duplicate?: boolean } = {},
  ): Promise<string> {
    const { duplicate, requestId: id, expectedRevision, timeoutSeconds, signal, ...memory } = fields;
    const request = {
      scope: this.subject.scope,
      memory: newMemory(text, memory, this.subject),
      mergeSameText: !duplicate,
      ...guarded({ requestId: id, expectedRevision }),
    };
    const reply = await this.connection.call(methods.createMemory, request, { timeoutSeconds, signal });
    return reply.memory?.memoryId ?? "";
  }

  /** Get one memory by id, or by layer and key. Rejects with NotFound. */
  async get(which: Which, options: ReadOptions = {}): Promise<Memory> {
    const request = { scope: this.subject.scope, target: target(which), ...consistencyToWire(options.consistency) };
    return memoryIn(await this.connection.call(methods.getMemory, request, options));
  }

  /** Change the fields that are given; null clears one. */
  async update(which: Which, fields: MemoryUpdate, options: ChangeOptions = {}): Promise<Memory> {
    const request = { scope: this.subject.scope, ...changedMemory(which, fields, options.etag), ...guarded(options) };
    return memoryIn(await this.connection.call(methods.updateMemory, request, options));
  }

  /** Change what a memory says. A value at its key goes with the old text, unless a new one is given. */
  replace(memoryId: string, text: string, options: ChangeOptions & MemoryFields = {}): Promise<Memory> {
    const { etag, requestId: id, expectedRevision, timeoutSeconds, signal, ...fields } = options;
    const rest = { etag, requestId: id, expectedRevision, timeoutSeconds, signal };
    return this.update(memoryId, { value: null, ...fields, text }, rest);
  }

  /**
   * Set what is known at a key: a `value`, a `text` that says it, or both. Creates the memory where there is none. Without
   * a text, "key: value" is the text; without a value, the text is the value.
   */
  async upsert(
    layer: Word<typeof Layer>,
    key: string,
    fields: MemoryUpdate,
    options: ChangeOptions = {},
  ): Promise<Memory> {
    const { value, text } = fields;
    if (!text && (value === undefined || value === null)) throw new TypeError("upsert needs a value or a text");
    const given = { ...fields, value: value ?? null, text: text || `${key}: ${spoken(value as Json)}` };
    const { memory, updateMask } = changedMemory({ layer, key }, given, options.etag);
    memory.origin = newMemory("", {}, this.subject).origin;
    const request = { scope: this.subject.scope, memory, updateMask, allowMissing: true, ...guarded(options) };
    return memoryIn(await this.connection.call(methods.updateMemory, request, options));
  }

  /** Delete a memory, and return the user's revision; `purge` blanks its text in the history too. */
  async delete(
    which: Which,
    options: ChangeOptions & { readonly allowMissing?: boolean; readonly purge?: boolean } = {},
  ): Promise<bigint> {
    const { etag = "", allowMissing = false, purge = false } = options;
    const request = {
      scope: this.subject.scope,
      target: target(which),
      etag,
      allowMissing,
      purge,
      ...guarded(options),
    };
    return (await this.connection.call(methods.deleteMemory, request, options)).revision;
  }

  /** Find the memories that fit a question best, or the newest ("last_n") or oldest ("first_n"); at most 100. */
  search(
    query = "",
    options: ReadOptions & {
      readonly method?: Word<typeof SearchMethod>;
      readonly limit?: number;
      /** 0 to 1, leaves out what is less sure. */
      readonly minScore?: number;
      readonly filter?: MemoryFilter;
      readonly sharedUserIds?: readonly string[];
    } = {},
  ): Promise<SearchMemoriesResponse> {
    const request = {
      scope: this.subject.scope,
      query,
      method: enumValue(SearchMethod, options.method, "method"),
      topK: options.limit ?? 10,
      minScore: options.minScore ?? 0,
      sharedUserIds: [...(options.sharedUserIds ?? [])],
      ...filterToWire(options.filter),
      ...consistencyToWire(options.consistency),
    };
    return this.connection.call(methods.searchMemories, request, options);
  }

  /** List all memories that match, last changed first by default; pages are fetched as they are needed. */
  list(
    filter?: MemoryFilter,
    options: ReadOptions & { readonly order?: Word<typeof MemoryOrder>; readonly pageSize?: number } = {},
  ): Listing<Memory> {
    const request = {
      scope: this.subject.scope,
      order: enumValue(MemoryOrder, options.order, "order"),
      pageSize: options.pageSize ?? 100,
      ...filterToWire(filter),
      ...consistencyToWire(options.consistency),
    };
    return this.connection.pages(methods.listMemories, request, (reply) => reply.memories, options);
  }

  /**
   * Write up to 1,000 operations (`createOperation`, `updateOperation`, `deleteOperation`), all or none; each memory at
   * most once. An error names `operations[i]` in its fields.
   */
  async batch(operations: readonly BatchWriteOperation[], options: MemoryWriteOptions = {}): Promise<Commit> {
    const own = operations.map((each) => this.withOrigin(each));
    const request = { scope: this.subject.scope, operations: own, ...guarded(options) };
    const reply = await this.connection.call(methods.batchWriteMemories, request, options);
    return reply.commit ?? create(CommitSchema);
  }

  /** Delete the memories that the filter names, or `"all"`, and return how many; `validateOnly` only counts them. */
  async clear(
    which: MemoryFilter | "all",
    options: MemoryWriteOptions & { readonly purge?: boolean; readonly validateOnly?: boolean } = {},
  ): Promise<number> {
    if (which !== "all" && !Object.keys(which).length) throw new TypeError('clear takes a filter, or "all"');
    const request = {
      scope: this.subject.scope,
      ...(which === "all" ? { all: true } : filterToWire(which)),
      purge: options.purge ?? false,
      validateOnly: options.validateOnly ?? false,
      ...guarded(options),
    };
    return (await this.connection.call(methods.clearMemories, request, options)).clearedCount;
  }

  /** Undo the newest revision, or the one that is named; an undo is undone like any other. */
  undo(revision?: bigint, options: MemoryWriteOptions & { readonly validateOnly?: boolean } = {}): Promise<Restored> {
    return this.restored({ target: { case: "revertRevision", value: revision ?? 0n } }, options);
  }

  /** Bring memories, or `"all"`, back to what they were at a revision; 0n: before the first one. */
  restore(
    revision: bigint,
    which: readonly string[] | "all",
    options: MemoryWriteOptions & { readonly validateOnly?: boolean } = {},
  ): Promise<Restored> {
    if (which !== "all" && !which.length) throw new TypeError('restore takes memory ids, or "all"');
    const chosen = which === "all" ? { all: true } : { memoryIds: [...which] };
    return this.restored({ target: { case: "toRevision", value: revision }, ...chosen }, options);
  }

  private async restored(
    what: { target: { case: "revertRevision" | "toRevision"; value: bigint }; all?: boolean; memoryIds?: string[] },
    options: MemoryWriteOptions & { readonly validateOnly?: boolean },
  ): Promise<Restored> {
    const { validateOnly = false } = options;
    const request = { scope: this.subject.scope, ...what, validateOnly, ...guarded(options) };
    const reply = await this.connection.call(methods.restoreMemories, request, options);
    return { commit: reply.commit ?? create(CommitSchema), purgedMemoryIds: reply.purgedMemoryIds };
  }

  /** What an operation creates, or may create, comes from the subject's agent and team. */
  private withOrigin(given: BatchWriteOperation): BatchWriteOperation {
    const { operation } = given;
    const creates = operation.case === "create" || (operation.case === "update" && operation.value.allowMissing);
    if (!creates || !operation.value.memory) return given;
    const { origin } = newMemory("", { sessionId: operation.value.memory.origin?.sessionId }, this.subject);
    const memory = create(MemorySchema, { ...operation.value.memory, ...(origin && { origin }) });
    const value = { ...operation.value, memory };
    return create(BatchWriteOperationSchema, { operation: { case: operation.case, value } as typeof operation });
  }
}

function guarded(options: MemoryWriteOptions): { requestId: string; expectedRevision?: bigint } {
  const { expectedRevision } = options;
  return { requestId: requestId(options.requestId), ...(expectedRevision === undefined ? {} : { expectedRevision }) };
}

function memoryIn(reply: { readonly memory?: Memory | undefined }): Memory {
  return reply.memory ?? create(MemorySchema);
}
