/** Messages of a conversation: what callers may pass, and what comes back as history. */
import { create } from "@bufbuild/protobuf";
import { Role } from "./generated/memsvc/v1/common_pb.js";
import { type Message, MessageSchema, type Part, PartSchema } from "./generated/memsvc/v1/message_pb.js";
import { type TimeLike, timestamp } from "./time.js";

/** A call of a tool, as OpenAI's chat completions have it. */
export interface ChatToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A message as OpenAI's chat completions have it: what model providers take, and what history is. */
export interface ChatMessage {
  role: string;
  content?: string | readonly unknown[] | null;
  name?: string | undefined;
  tool_calls?: readonly ChatToolCall[] | undefined;
  tool_call_id?: string | undefined;
  refusal?: string | null | undefined;
  /** When it was said; default: when it is stored. May be dated back. */
  time?: TimeLike | undefined;
  /** Which person, where that is not the user. */
  authorId?: string | undefined;
}

/** `["user", "Hi"]`, a chat message, or the protos' own. */
export type MessageLike = readonly [role: string, text: string] | ChatMessage | Message;

const ROLES: Readonly<Record<string, Role>> = {
  system: Role.SYSTEM,
  developer: Role.SYSTEM,
  user: Role.USER,
  human: Role.USER,
  assistant: Role.ASSISTANT,
  ai: Role.ASSISTANT,
  model: Role.ASSISTANT,
  tool: Role.TOOL,
};

/** Return messages for the wire. Throws TypeError that names the index of a wrong one. */
export function messagesToWire(given: Iterable<MessageLike>): Message[] {
  if (typeof given === "string") throw new TypeError("messages must be a list of messages, not a string");
  const messages = Array.from(given, (each, index) => toWire(each, `messages[${index}]`));
  if (!messages.length) throw new TypeError("messages must not be empty");
  return messages;
}

/** Return messages in the form that model providers take. A message with several tool results is one for each. */
export function chatMessages(messages: readonly Message[]): ChatMessage[] {
  return messages.flatMap((each) => [...chatEntries(each)]);
}

function toWire(given: MessageLike, where: string): Message {
  if (given === null || typeof given !== "object") throw new TypeError(`${where} must be [role, text] or a message`);
  if ("$typeName" in given) return given;
  const message: ChatMessage = isPair(given) ? { role: given[0], content: given[1] } : (given as ChatMessage);
  const role = typeof message.role === "string" ? ROLES[message.role.toLowerCase()] : undefined;
  if (role === undefined)
    throw new TypeError(`${where}.role: ${message.role} is none of ${Object.keys(ROLES).join(", ")}`);
  const calls = (message.tool_calls ?? []).map((each) => toolCall(each, where));
  let parts = contentParts(message.content, `${where}.content`).filter((each) => !calls.length || !isEmpty(each));
  if (message.refusal) parts.push(text(message.refusal));
  if (message.tool_call_id) parts = [toolResult(message.tool_call_id, parts)];
  parts.push(...calls);
  if (!parts.length) throw new TypeError(`${where} has neither content nor tool_calls`);
  return create(MessageSchema, {
    role,
    parts,
    name: message.name ?? "",
    authorId: message.authorId ?? "",
    ...(message.time === undefined ? {} : { time: timestamp(message.time, `${where}.time`) }),
  });
}

function isPair(given: object): given is readonly [string, string] {
  return Array.isArray(given);
}

function contentParts(content: ChatMessage["content"], where: string): Part[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return [text(content)];
  if (!Array.isArray(content)) throw new TypeError(`${where} must be a string, a list of parts or null`);
  return content.map((each, index) => contentPart(each, `${where}[${index}]`));
}

/** Read one part of a content. What is not known is kept as it is, for whoever wrote it. */
function contentPart(given: unknown, where: string): Part {
  if (typeof given === "string") return text(given);
  if (given === null || typeof given !== "object") throw new TypeError(`${where} must be a string or an object`);
  const part = given as { type?: string; text?: unknown; refusal?: unknown; image_url?: unknown };
  const said = part.text ?? part.refusal;
  if (typeof said === "string" && /^((in|out)put_)?text$|^refusal$/.test(part.type ?? "")) return text(said);
  const url =
    typeof part.image_url === "string" ? part.image_url : (part.image_url as { url?: string } | undefined)?.url;
  if (typeof url === "string") return media(url);
  return create(PartSchema, { part: { case: "provider", value: { json: JSON.stringify(given) } } });
}

/** A data: URL is bytes; the service keeps none, only that there was an image. */
function media(url: string): Part {
  const value = url.startsWith("data:") ? { mimeType: url.slice(5).split(/[;,]/)[0] ?? "" } : { uri: url };
  return create(PartSchema, { part: { case: "media", value } });
}

function text(said: string): Part {
  return create(PartSchema, { part: { case: "text", value: { text: said } } });
}

function toolResult(callId: string, parts: Part[]): Part {
  return create(PartSchema, { part: { case: "toolResult", value: { callId, parts } } });
}

function toolCall(given: ChatToolCall, where: string): Part {
  if (typeof given?.function?.name !== "string") {
    throw new TypeError(`${where}.tool_calls must hold {id, type, function: {name, arguments}}`);
  }
  const { name, arguments: argumentsJson } = given.function;
  return create(PartSchema, { part: { case: "toolCall", value: { id: given.id, name, argumentsJson } } });
}

function isEmpty(part: Part): boolean {
  return part.part.case === "text" && part.part.value.text === "";
}

function* chatEntries(message: Message): Generator<ChatMessage> {
  const rest: Part[] = [];
  const calls: ChatToolCall[] = [];
  for (const part of message.parts) {
    if (part.part.case === "toolResult") {
      yield { role: "tool", tool_call_id: part.part.value.callId, content: contentOf(part.part.value.parts) };
    } else if (part.part.case === "toolCall") {
      const { id, name, argumentsJson } = part.part.value;
      calls.push({ id, type: "function", function: { name, arguments: argumentsJson } });
    } else {
      rest.push(part);
    }
  }
  if (!rest.length && !calls.length) return;
  yield {
    role: (Role[message.role] ?? "unknown").toLowerCase(),
    content: contentOf(rest),
    ...(message.name ? { name: message.name } : {}),
    ...(calls.length ? { tool_calls: calls } : {}),
  };
}

function contentOf(parts: readonly Part[]): string | unknown[] | null {
  if (!parts.length) return null;
  const texts = parts.flatMap((each) => (each.part.case === "text" ? [each.part.value.text] : []));
  return texts.length === parts.length ? texts.join("\n") : parts.map(shownPart);
}

function shownPart({ part }: Part): unknown {
  switch (part.case) {
    case "media":
      if (part.value.uri) return { type: "image_url", image_url: { url: part.value.uri } };
      return { type: "text", text: part.value.caption || `[${part.value.mimeType || "media"}]` };
    case "provider":
      return JSON.parse(part.value.json);
    default:
      return { type: "text", text: part.case === "text" ? part.value.text : "" };
  }
}
