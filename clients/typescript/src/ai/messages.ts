/** Messages of the AI SDK's prompts and answers, as memory stores them. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Role } from "../generated/memsvc/v1/common_pb.js";
import { type Message, MessageSchema, type PartSchema } from "../generated/memsvc/v1/message_pb.js";
import type { AssistantPart, Content, Prompt, ToolOutput, ToolPart, UserPart } from "./spec.js";

type Part = MessageInitShape<typeof PartSchema>;
type AnyPart = UserPart | AssistantPart | ToolPart | Content;

/** Return what was said, called and answered; instructions and thoughts are left out. */
export function messagesOf(prompt: Prompt): Message[] {
  return prompt.flatMap((each) => {
    if (each.role === "system") return [];
    return each.role === "user" ? message(Role.USER, each.content.flatMap(spoken)) : assistantMessages(each.content);
  });
}

/** Return an answer of a model: what it said and called, then what its provider's own tools answered. */
export function assistantMessages(parts: readonly AnyPart[]): Message[] {
  return [...message(Role.ASSISTANT, parts.flatMap(spoken)), ...parts.flatMap(answered)];
}

/** Return an instruction, which is not stored. */
export function instruction(words: string): Message[] {
  return message(Role.SYSTEM, [text(words)]);
}

/** Return the words of a message's parts. */
export function textOf(parts: readonly AnyPart[]): string {
  return parts.flatMap((each) => (each.type === "text" ? [each.text] : [])).join("\n");
}

function message(role: Role, parts: Part[]): Message[] {
  return parts.length ? [create(MessageSchema, { role, parts })] : [];
}

function spoken(part: AnyPart): Part[] {
  if (part.type === "text") return part.text ? [text(part.text)] : [];
  if (part.type === "file") return [media(part)];
  if (part.type !== "tool-call") return [];
  const value = { id: part.toolCallId, name: part.toolName, argumentsJson: argumentsOf(part.input) };
  return [{ part: { case: "toolCall", value } }];
}

function answered(part: AnyPart): Message[] {
  if (part.type !== "tool-result") return [];
  const { parts, isError } =
    "output" in part ? outputOf(part.output) : { parts: [json(part.result)], isError: part.isError ?? false };
  const value = { callId: part.toolCallId, parts, isError };
  return message(Role.TOOL, [{ part: { case: "toolResult", value } }]);
}

function outputOf(output: ToolOutput): { parts: Part[]; isError: boolean } {
  switch (output.type) {
    case "text":
    case "error-text":
      return { parts: [text(output.value)], isError: output.type === "error-text" };
    case "json":
    case "error-json":
      return { parts: [json(output.value)], isError: output.type === "error-json" };
    case "execution-denied":
      return { parts: [text(output.reason ?? "denied")], isError: true };
    case "content":
      return { parts: output.value.flatMap((each) => (each.type === "custom" ? [] : spoken(each))), isError: false };
  }
}

/** Arguments are a JSON object; what a model wrote instead is kept in one. */
function argumentsOf(input: unknown): string {
  let given = input;
  if (typeof input === "string") {
    try {
      given = JSON.parse(input);
    } catch {
      // Kept as it is.
    }
  }
  const isObject = typeof given === "object" && given !== null && !Array.isArray(given);
  return JSON.stringify(isObject ? given : { input: given });
}

/** That there was a file, and where; never its bytes. */
function media(file: { mediaType: string; data: unknown }): Part {
  const { data } = file;
  const url = data instanceof URL ? data : (data as { url?: unknown } | null)?.url;
  return { part: { case: "media", value: { mimeType: file.mediaType, uri: url instanceof URL ? url.href : "" } } };
}

function json(value: unknown): Part {
  return text(typeof value === "string" ? value : JSON.stringify(value));
}

/** A text of memory holds no NUL, as what a tool read of a file may: for one, nothing of the turn would be stored. */
function text(said: string): Part {
  return { part: { case: "text", value: { text: said.replaceAll("\0", "") } } };
}
