/**
 * What is too large for memory: a message is kept by its beginning, and a turn is stored as several runs. As the adapters of
 * Python do: the longest text of a message is cut, and the next, until it fits.
 */
import { Role } from "../generated/memsvc/v1/common_pb.js";
import type { Message, Part } from "../generated/memsvc/v1/message_pb.js";

const MESSAGE_BYTES = 256 << 10;
const RUN_BYTES = 2 << 20;
const RUN_MESSAGES = 1_000;
const encoder = new TextEncoder();

/** Cut the messages that are larger than one may be, and return them in as many runs as it takes. */
export function fitting(messages: readonly Message[]): Message[][] {
  for (const each of messages) fit(each);
  return runs(messages);
}

function fit(message: Message): void {
  for (let over = excess(message); over > 0; over = excess(message)) {
    const texts = message.parts.flatMap(textsOf);
    if (!texts.length) return;
    const longest = texts.reduce((most, each) => (each.length > most.length ? each : most));
    if (!longest.shorten(longest.length - over)) return;
  }
}

const excess = (message: Message) => sizeOf(message) - MESSAGE_BYTES;

/** Return the runs of a turn; tools' answers stay with their call where they can. */
function runs(messages: readonly Message[]): Message[][] {
  const sizes = messages.map(sizeOf);
  const found: Message[][] = [];
  for (let start = 0; start < messages.length; ) {
    let end = start;
    for (let room = RUN_BYTES; end < messages.length && end - start < RUN_MESSAGES; end++) {
      room -= sizes[end] ?? 0;
      if (room < 0 && end > start) break;
    }
    let call = end;
    while (call > start && messages[call]?.role === Role.TOOL) call--;
    if (call > start) end = call;
    found.push(messages.slice(start, end));
    start = end;
  }
  return found;
}

interface Text {
  readonly length: number;
  /** Cut it down to so many bytes, and tell whether it is shorter now. */
  shorten(most: number): boolean;
}

/** Return what may be cut of a part. */
function textsOf({ part }: Part): Text[] {
  if (part.case === "toolResult") return part.value.parts.flatMap(textsOf);
  if (part.case === "text") {
    const { value } = part;
    return [text(value.text, (most) => (value.text = beginning(value.text, most)))];
  }
  if (part.case !== "toolCall") return [];
  const { value } = part;
  // They are an object in any case; in a string of JSON its quotes take twice the room.
  const shortened = (most: number) => JSON.stringify({ input: beginning(value.argumentsJson, (most >> 1) - 16) });
  return [text(value.argumentsJson, (most) => (value.argumentsJson = shortened(most)))];
}

function text(said: string, shortened: (most: number) => string): Text {
  const length = bytesOf(said);
  return { length, shorten: (most) => bytesOf(shortened(most)) < length };
}

/** Return the beginning of a text, and how much is left out, in at most so many bytes, if that note needs no more. */
function beginning(said: string, most: number): string {
  const whole = encoder.encode(said);
  let end = Math.max(0, most - leftOut(whole.length).length);
  while (end > 0 && ((whole[end] ?? 0) & 0xc0) === 0x80) end--;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(whole.subarray(0, end)) + leftOut(whole.length - end);
}

const leftOut = (bytes: number) => `\n[... ${bytes} bytes left out]`;

const bytesOf = (said: string) => encoder.encode(said).length;

/** Return the size of a message as the service counts it: all its parts' strings. */
function sizeOf(of: { parts: Part[] }): number {
  return of.parts.reduce((sum, { part }) => {
    const strings = Object.entries(part.value ?? {}).filter(
      ([name, each]) => name !== "$typeName" && typeof each === "string",
    );
    const own = strings.reduce((bytes, [, each]) => bytes + bytesOf(each as string), 0);
    return sum + own + (part.case === "toolResult" ? sizeOf(part.value) : 0);
  }, 0);
}
