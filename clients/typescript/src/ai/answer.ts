/** An answer that is read while it comes. */
import type { Content, StreamPart } from "./spec.js";

/** Pass a stream on; say what it held once it has ended, or was left or aborted, and not where it failed. */
export function heard(
  stream: ReadableStream<StreamPart>,
  signal: AbortSignal | undefined,
  ended: (answer: Content[]) => Promise<void>,
): ReadableStream<StreamPart> {
  const parts = passedOn(stream, signal, ended);
  return new ReadableStream<StreamPart>({
    async pull(controller) {
      const { done, value } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await parts.return();
    },
  });
}

async function* passedOn(
  stream: ReadableStream<StreamPart>,
  signal: AbortSignal | undefined,
  ended: (answer: Content[]) => Promise<void>,
): AsyncGenerator<StreamPart, void, undefined> {
  const answer: Content[] = [];
  const texts = new Map<string, { type: "text"; text: string }>();
  let failed = false;
  try {
    for await (const part of stream) {
      failed ||= part.type === "error" || (part.type === "finish" && part.finishReason.unified === "error");
      take(part, answer, texts);
      yield part;
    }
  } catch (failure) {
    failed ||= signal?.aborted !== true;
    throw failure;
  } finally {
    if (!failed) await ended(answer);
  }
}

function take(part: StreamPart, answer: Content[], texts: Map<string, { type: "text"; text: string }>): void {
  switch (part.type) {
    case "text-start": {
      const text = { type: "text" as const, text: "" };
      texts.set(part.id, text);
      answer.push(text);
      break;
    }
    case "text-delta": {
      const text = texts.get(part.id);
      if (text) text.text += part.delta;
      break;
    }
    case "tool-result":
      if (!part.preliminary) answer.push(part);
      break;
    case "tool-call":
    case "tool-approval-request":
    case "file":
      answer.push(part);
  }
}
