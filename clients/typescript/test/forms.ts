/** What the client takes and gives, as the contract writes it: protojson. */
import { create, createRegistry, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import { MemoryServiceError } from "../src/errors.js";
import * as admin from "../src/generated/memsvc/v1/admin_pb.js";
import * as config from "../src/generated/memsvc/v1/config_pb.js";
import * as context from "../src/generated/memsvc/v1/context_pb.js";
import * as extraction from "../src/generated/memsvc/v1/extraction_pb.js";
import * as memory from "../src/generated/memsvc/v1/memory_pb.js";
import * as message from "../src/generated/memsvc/v1/message_pb.js";
import * as session from "../src/generated/memsvc/v1/session_pb.js";
import * as tool from "../src/generated/memsvc/v1/tool_pb.js";
import { type ChatMessage, messagesToWire } from "../src/messages.js";

const registry = createRegistry(
  admin.file_memsvc_v1_admin,
  config.file_memsvc_v1_config,
  context.file_memsvc_v1_context,
  extraction.file_memsvc_v1_extraction,
  memory.file_memsvc_v1_memory,
  message.file_memsvc_v1_message,
  session.file_memsvc_v1_session,
  tool.file_memsvc_v1_tool,
);

/** Return what the client answered as JSON: messages in protojson, the rest as it is. */
export function shown(value: unknown): JsonValue {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object") return value as JsonValue;
  if (value instanceof MemoryServiceError) return { code: value.code, reason: value.reason };
  if (Array.isArray(value)) return value.map(shown);
  if ("$typeName" in value) return fromMessage(value as Message);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shown(each)]));
}

function fromMessage(value: Message): JsonValue {
  const schema = registry.getMessage(value.$typeName);
  if (schema === undefined) throw new Error(`nothing is known of ${value.$typeName}`);
  return toJson(schema, value);
}

/** Return a context as the contract has it, whose history is messages of the protos again. */
export function shownContext(given: Awaited<ReturnType<import("../src/user.js").User["context"]>>): JsonValue {
  const { failure, history, ...rest } = given;
  const whole = create(context.CompileContextResponseSchema, { ...rest, history: wire(history) });
  return { ...(fromMessage(whole) as object), failure: shown(failure) } as JsonValue;
}

/** Return messages of the protos for those of history. */
export function wire(messages: readonly ChatMessage[]): message.Message[] {
  return messages.length ? messagesToWire(messages) : [];
}

/** Return the word for the name of an enum value: `LAYER_PROFILE` is `profile`. */
// biome-ignore lint/suspicious/noExplicitAny: any enum's word
export function word(kind: string, name: string | undefined): any {
  return name?.slice(kind.length + 1).toLowerCase();
}

// biome-ignore lint/suspicious/noExplicitAny: any enum's words
export function words(kind: string, names: readonly string[] | undefined): any {
  return names?.map((each) => word(kind, each));
}
