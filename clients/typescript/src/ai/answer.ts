/** An answer that is read while it comes. */
import type { Content, StreamPart } from "./spec.js";

/** Pass a stream on; say what it held once it has ended, or was left or aborted, and not where it failed. */
export function heard(
  stream: ReadableStream<StreamPart>,
  signal: AbortSignal | undefined,
  ended: (answer: Content[]) => Promise<void>,
): ReadableStream<StreamPart> {
  const parts = stream.getReader();
  const answer: Content[] = [];
  const texts = new Map<string, { type: "text"; text: string }>();
  let failed = false;
  let said: Promise<void> | undefined;
  const end = () => {
    said ??= failed ? Promise.resolve() : ended(answer);
    return said;
  };
  return new ReadableStream<StreamPart>({
    async pull(controller) {
      try {
        const { done, value } = await parts.read();
        if (said) return;
        if (!done) {
          failed ||= value.type === "error" || (value.type === "finish" && value.finishReason.unified === "error");
          take(value, answer, texts);
          controller.enqueue(value);
          return;
        }
      } catch (failure) {
        failed ||= signal?.aborted !== true;
        await end();
        throw failure;
      }
      await end();
      controller.close();
    },
    async cancel(reason) {
      // The model stops now, not once it has said its next piece.
      await Promise.all([parts.cancel(reason), end()]);
    },
  });
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
