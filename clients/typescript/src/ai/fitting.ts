/**
 * What is too large for memory: a message is kept by its beginning, and a turn is stored as several runs. As the adapters of
 * Python do: the longest text of a message is cut, and the next, until it fits; of too many parts the first are kept.
 */
import { create } from "@bufbuild/protobuf";
import { Role } from "../generated/memsvc/v1/common_pb.js";
import { type Message, type Part, PartSchema, TextPartSchema } from "../generated/memsvc/v1/message_pb.js";

const MESSAGE_BYTES = 256 << 10;
const MESSAGE_PARTS = 1_000;
const RUN_BYTES = 2 << 20;
const RUN_MESSAGES = 1_000;
const encoder = new TextEncoder();

/** Cut the messages that are larger than one may be, and return them in as many runs as it takes. */
export function fitting(messages: readonly Message[]): Message[][] {
  for (const each of messages) fit(each);
  return runs(messages);
}

function fit(message: Message): void {
  while (count(message.parts) > MESSAGE_PARTS) keepFirstParts(message.parts);
  let over = sizeOf(message) - MESSAGE_BYTES;
  if (over <= 0) return;
  const texts = message.parts.flatMap(textsOf);
  while (over > 0 && texts.length) {
    const longest = texts.reduce((most, each) => (each.length > most.length ? each : most));
    const { length } = longest;
    longest.length = longest.shorten(length - over);
    if (longest.length >= length) return;
    over -= length - longest.length;
  }
}

/** Leave out the last parts of where most of them are, until the message fits or none is left of these. */
function keepFirstParts(parts: Part[]): void {
  const lists = [parts, ...parts.map(answerOf)];
  const most = lists.reduce((longest, each) => (each.length > longest.length ? each : longest));
  let leftOut = 0;
  for (let over = count(parts) + 1 - MESSAGE_PARTS; over > 0 && most.length; leftOut++) over -= count(most.splice(-1));
  const note = create(TextPartSchema, { text: `[... ${leftOut} parts left out]` });
  most.push(create(PartSchema, { part: { case: "text", value: note } }));
}

/** Return how many parts there are as the service counts them: those of tools' answers too. */
function count(parts: readonly Part[]): number {
  return parts.reduce((sum, each) => sum + 1 + answerOf(each).length, 0);
}

const answerOf = ({ part }: Part) => (part.case === "toolResult" ? part.value.parts : []);

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
  length: number;
  /** Cut it down to so many bytes, and return how many there are now. */
  shorten(most: number): number;
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
  return { length: bytesOf(said), shorten: (most) => bytesOf(shortened(most)) };
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
