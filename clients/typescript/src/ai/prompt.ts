/**
 * Where a turn begins and ends. A model is asked several times in one turn, each time with all that was said: the user
 * speaks, the model calls tools, and is asked again with what they answered, until it answers with no call.
 *
 *     system, user, assistant, | user, assistant (calls), tool, assistant (calls), tool
 *                                ^ the turn begins here, and has not ended
 */
import { textOf } from "./messages.js";
import type { AssistantPart, Content, Prompt } from "./spec.js";

const QUERY_BYTES = 8 << 10;

/** Return where the turn begins: with all that the user said last; -1 where no user said anything. */
export function beginning(prompt: Prompt): number {
  let index = prompt.findLastIndex((each) => each.role === "user");
  while (prompt[index - 1]?.role === "user") index--;
  return index;
}

/** Return the turns before `begin` that ended in a call, as where the agent stops at a tool. */
export function withoutAnswer(prompt: Prompt, begin: number): Prompt {
  const before = prompt.slice(0, begin);
  const answer = before.findLastIndex((each) => each.role === "assistant" && !goesOn(each.content));
  const rest = before.slice(answer + 1).filter((each) => each.role !== "system");
  return rest.some((each) => each.role === "assistant") ? rest : [];
}

/** Tell whether the agent goes on after an answer: with tools of its own, or with what it has to be allowed. */
export function goesOn(answer: readonly (AssistantPart | Content)[]): boolean {
  return answer.some(
    (part) => part.type === "tool-approval-request" || (part.type === "tool-call" && part.providerExecuted !== true),
  );
}

/** Return what the user asks, as much of it as a query may hold: the end, where people ask. */
export function question(prompt: Prompt, begin: number): string {
  const said = prompt.slice(begin).flatMap((each) => (each.role === "user" ? textOf(each.content) : []));
  const bytes = new TextEncoder().encode(said.join("\n").replaceAll("\0", ""));
  return new TextDecoder().decode(bytes.slice(-QUERY_BYTES)).replace(/^\uFFFD+/, "");
}

/**
 * Return the prompt with what is known behind the agent's own instructions, which a provider's cache holds. Instructions
 * with options of a provider's, such as a mark for its cache, stay as they are.
 */
export function withContext(prompt: Prompt, text: string): Prompt {
  if (!text) return prompt;
  const others = prompt.findIndex((each) => each.role !== "system");
  const begin = others < 0 ? prompt.length : others;
  const last = prompt[begin - 1];
  if (last?.role === "system" && last.providerOptions === undefined) {
    return [...prompt.slice(0, begin - 1), { ...last, content: `${last.content}\n\n${text}` }, ...prompt.slice(begin)];
  }
  return [...prompt.slice(0, begin), { role: "system", content: text }, ...prompt.slice(begin)];
}
