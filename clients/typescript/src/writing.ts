/** What a write says about a memory: its fields, which of them it sets, and which memory it means. */
import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { Layer, OriginSchema, Polarity, Trust } from "./generated/memsvc/v1/common_pb.js";
import {
  type BatchWriteOperation,
  BatchWriteOperationSchema,
  CreateOperationSchema,
  DeleteOperationSchema,
  KeyAddressSchema,
  type Memory,
  MemorySchema,
  UpdateOperationSchema,
} from "./generated/memsvc/v1/memory_pb.js";
import type { Subject } from "./subject.js";
import { duration, type TimeLike, timestamp } from "./time.js";
import { enumValue, type Word } from "./words.js";

/** Anything that JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What may be said of a memory besides its text. In an update, null clears a field. */
export interface MemoryFields {
  /** The value at the key. Without it the text is the value. */
  readonly value?: Json | undefined;
  /** Short labels. */
  readonly topics?: readonly string[] | null | undefined;
  /** The words it came from. */
  readonly input?: string | null | undefined;
  /** How far to believe it; STATED by default. */
  readonly trust?: Word<typeof Trust> | null | undefined;
  /** For the layer FEEDBACK: what worked, or what did not. */
  readonly polarity?: Word<typeof Polarity> | null | undefined;
  readonly metadata?: Readonly<Record<string, string>> | null | undefined;
  /** When it was said; default: now. */
  readonly observeTime?: TimeLike | null | undefined;
  /** When it stops being visible. */
  readonly expireTime?: TimeLike | null | undefined;
  /** The same, as seconds after the write. */
  readonly ttlSeconds?: number | null | undefined;
  /** Since when it is so, in the world. */
  readonly validFrom?: TimeLike | null | undefined;
  /** Until when it was so. */
  readonly validTo?: TimeLike | null | undefined;
}

/** What may be changed of a memory. */
export interface MemoryUpdate extends MemoryFields {
  readonly text?: string | undefined;
}

/** What a new memory may have besides its text. */
export interface NewMemory extends MemoryFields {
  /** KNOWLEDGE by default. */
  readonly layer?: Word<typeof Layer> | undefined;
  readonly key?: string | undefined;
  readonly memoryId?: string | undefined;
  readonly sessionId?: string | undefined;
}

/** A memory by its id, or by layer and key. */
export type Which = string | { readonly layer: Word<typeof Layer>; readonly key: string };

/** The paths of the fields that an update may name. */
const PATHS: Readonly<Record<keyof MemoryUpdate, string>> = {
  text: "text",
  value: "value_json",
  topics: "topics",
  input: "input",
  trust: "trust",
  polarity: "polarity",
  metadata: "metadata",
  observeTime: "observe_time",
  expireTime: "expire_time",
  ttlSeconds: "ttl",
  validFrom: "valid_from",
  validTo: "valid_to",
};

/** Return the creation of a memory, for `memories.batch`. */
export function createOperation(text: string, fields: NewMemory = {}): BatchWriteOperation {
  const value = create(CreateOperationSchema, { memory: newMemory(text, fields) });
  return create(BatchWriteOperationSchema, { operation: { case: "create", value } });
}

/** Return the change of a memory, for `memories.batch`. */
export function updateOperation(
  which: Which,
  fields: MemoryUpdate,
  options: { readonly etag?: string; readonly allowMissing?: boolean } = {},
): BatchWriteOperation {
  const { memory, updateMask } = changedMemory(which, fields, options.etag);
  const value = create(UpdateOperationSchema, { memory, updateMask, allowMissing: options.allowMissing ?? false });
  return create(BatchWriteOperationSchema, { operation: { case: "update", value } });
}

/** Return the deletion of a memory, for `memories.batch`. */
export function deleteOperation(
  which: Which,
  options: { readonly etag?: string; readonly allowMissing?: boolean } = {},
): BatchWriteOperation {
  const value = create(DeleteOperationSchema, { target: target(which), ...options });
  return create(BatchWriteOperationSchema, { operation: { case: "delete", value } });
}

/** Return a memory to create. */
export function newMemory(text: string, given: NewMemory, subject?: Subject): Memory {
  const { layer, key, memoryId, sessionId, ...fields } = given;
  const origin = create(OriginSchema, { sessionId: sessionId ?? "", ...subject?.origin });
  const memory = create(MemorySchema, {
    text,
    layer: enumValue(Layer, layer, "layer"),
    key: key ?? "",
    memoryId: memoryId ?? "",
    origin,
  });
  fill(memory, fields);
  return memory;
}

/** Return a memory that holds the new values, and the mask that names them. */
export function changedMemory(which: Which, fields: MemoryUpdate, etag = "") {
  const given = named(fields);
  if (!given.length) throw new TypeError("nothing to update: give at least one field");
  const where = target(which);
  const memory = create(MemorySchema, {
    etag,
    ...(where.case === "memoryId" ? { memoryId: where.value } : where.value.fields),
  });
  fill(memory, fields);
  if (fields.text !== undefined) memory.text = fields.text;
  return { memory, updateMask: create(FieldMaskSchema, { paths: given.map((name) => PATHS[name]) }) };
}

/** Return which memory is meant. Throws TypeError unless it is an id, or a layer and key. */
export function target(which: Which) {
  if (typeof which === "string" && which) return { case: "memoryId" as const, value: which };
  if (typeof which === "object" && which?.layer && which.key) {
    const fields = { layer: enumValue(Layer, which.layer, "layer"), key: which.key };
    return { case: "address" as const, value: Object.assign(create(KeyAddressSchema, fields), { fields }) };
  }
  throw new TypeError("a memory is named by its id, or by {layer, key}");
}

function named(fields: MemoryUpdate): (keyof MemoryUpdate)[] {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  const unknown = given.map(([name]) => name).filter((name) => !(name in PATHS));
  if (unknown.length) throw new TypeError(`a memory has no field ${unknown.join(", ")}`);
  return given.map(([name]) => name as keyof MemoryUpdate);
}

function fill(memory: Memory, fields: MemoryFields): void {
  named(fields);
  const { value, topics, input, trust, polarity, metadata, observeTime, expireTime, ttlSeconds, validFrom, validTo } =
    fields;
  if (expireTime && ttlSeconds) throw new TypeError("expireTime and ttlSeconds say the same: give one of them");
  if (value !== undefined && value !== null) memory.valueJson = JSON.stringify(value);
  if (topics) memory.topics = [...topics];
  if (input) memory.input = input;
  if (trust) memory.trust = enumValue(Trust, trust, "trust");
  if (polarity) memory.polarity = enumValue(Polarity, polarity, "polarity");
  if (metadata) memory.metadata = { ...metadata };
  if (observeTime) memory.observeTime = timestamp(observeTime, "observeTime");
  if (expireTime) memory.expiration = { case: "expireTime", value: timestamp(expireTime, "expireTime") };
  if (typeof ttlSeconds === "number") memory.expiration = { case: "ttl", value: duration(ttlSeconds, "ttlSeconds") };
  if (validFrom) memory.validFrom = timestamp(validFrom, "validFrom");
  if (validTo) memory.validTo = timestamp(validTo, "validTo");
}

/** Return the value at a memory's key: its JSON, or the text where no other was given; undefined without a key. */
export function valueAt(memory: Memory): Json | undefined {
  if (!memory.key) return undefined;
  return memory.valueJson ? (JSON.parse(memory.valueJson) as Json) : memory.text;
}

/** Return a value as one would write it: a list with commas, a string as it is. */
export function spoken(value: Json): string {
  if (typeof value === "string") return value;
  return Array.isArray(value) ? value.map(spoken).join(", ") : JSON.stringify(value);
}
