/** Tools that the agent's own model may call. */
import type { CallOptions, Connection } from "./connection.js";
import { type CallToolResponse, ToolFormat, ToolService } from "./generated/memsvc/v1/tool_pb.js";
import type { ChatMessage } from "./messages.js";
import { ownSettings, type Settings } from "./settings.js";
import type { Subject } from "./subject.js";
import { duration } from "./time.js";
import { enumValue, requestId, type Word } from "./words.js";

/** The tools of memory; an agent may have others beside them. */
export const TOOLS: ReadonlySet<string> = new Set([
  "save_memory",
  "update_memory",
  "forget",
  "update_user_memory",
  "search_memories",
  "get_memories",
  "read_chat_history",
  "search_history",
]);
const SLOW = "update_user_memory";
const WAIT_SECONDS = 60;

/** A tool, as the model's provider takes it. */
// biome-ignore lint/suspicious/noExplicitAny: its form is the provider's
export type ToolDefinition = any;

export interface ToolCallOptions extends CallOptions {
  /** The model's id of the call: the same one, with the same arguments in the same session, is carried out once. */
  readonly callId?: string | undefined;
  readonly sessionId?: string;
  readonly runId?: string;
  readonly sharedUserIds?: readonly string[];
  /** How long `update_user_memory` is waited for (60); it goes on all the same. */
  readonly waitSeconds?: number;
  readonly settings?: Settings;
}

/** List the tools that the configuration allows, to be handed to the model as they are. */
export async function listTools(
  connection: Connection,
  subject: Subject,
  format: Word<typeof ToolFormat>,
  options: CallOptions & { readonly settings?: Settings },
): Promise<ToolDefinition[]> {
  const request = {
    scope: subject.scope,
    format: enumValue(ToolFormat, format, "format"),
    agentId: subject.agentId,
    ...ownSettings(options.settings),
  };
  const reply = await connection.call(ToolService.method.listTools, request, options);
  return reply.tools.map((each) => JSON.parse(each.definitionJson));
}

/** Carry out one call of a tool. */
export function callTool(
  connection: Connection,
  subject: Subject,
  name: string,
  given: object | string,
  options: ToolCallOptions,
): Promise<CallToolResponse> {
  const wait = name === SLOW ? (options.waitSeconds ?? WAIT_SECONDS) : 0;
  const request = {
    scope: subject.scope,
    name,
    argumentsJson: typeof given === "string" ? given : JSON.stringify(given),
    // A call that is sent again, for its answer was lost, is still one call.
    callId: requestId(options.callId),
    ...subject.origin,
    sessionId: options.sessionId ?? "",
    runId: options.runId ?? "",
    sharedUserIds: [...(options.sharedUserIds ?? [])],
    ...(wait ? { wait: duration(wait, "waitSeconds") } : {}),
    ...ownSettings(options.settings),
  };
  return connection.call(ToolService.method.callTool, request, options, wait);
}

/** Carry out the calls of memory's tools in a model's message, one after the other; return the messages that answer them. */
export async function runToolCalls(
  connection: Connection,
  subject: Subject,
  message: ChatMessage,
  options: ToolCallOptions,
): Promise<ChatMessage[]> {
  const answers: ChatMessage[] = [];
  for (const { id, function: called } of message.tool_calls ?? []) {
    if (!TOOLS.has(called.name)) continue;
    const answer = await callTool(connection, subject, called.name, called.arguments, { ...options, callId: id });
    answers.push({ role: "tool", tool_call_id: id, content: answer.text });
  }
  return answers;
}
