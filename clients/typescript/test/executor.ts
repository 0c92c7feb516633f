/** The executor of TypeScript: does with the client what clients/contract/README.md says, line by line. */
import { createInterface } from "node:readline";
import { connect, ExtractionFailed, type MemoryClient, MemoryServiceError } from "../src/node.js";
import { CALLS, LISTS } from "./calls.js";
import { shown } from "./forms.js";

// biome-ignore lint/suspicious/noExplicitAny: lines are JSON
type Line = any;

const clients = new Map<string, MemoryClient>();
const streams = new Map<string, AsyncIterator<unknown>>();

async function answer(line: Line): Promise<object> {
  try {
    return await carryOut(line);
  } catch (error) {
    if (error instanceof MemoryServiceError) return { error: failed(error) };
    if (error instanceof TypeError || error instanceof RangeError) {
      return { error: { code: "WRONG_ARGUMENT", message: error.message } };
    }
    throw error;
  }
}

async function carryOut(line: Line): Promise<object> {
  switch (line.do) {
    case "connect": {
      const { id: _, do: __, client, target, ...options } = line;
      clients.set(client, connect(target, options));
      break;
    }
    case "close":
      clients.get(line.client)?.close();
      break;
    case "call":
      return { reply: await called(line) };
    case "open": {
      const listed = (await began(line)) as AsyncIterable<unknown>;
      streams.set(line.stream, listed[Symbol.asyncIterator]());
      break;
    }
    case "next": {
      const next = await streams.get(line.stream)?.next();
      return next === undefined || next.done ? { ended: true } : { item: shown(next.value) };
    }
    case "leave":
      await streams.get(line.stream)?.return?.();
      break;
  }
  return { reply: {} };
}

async function called(line: Line): Promise<unknown> {
  const result = await began(line);
  if (!LISTS.has(line.call)) return shown(result);
  const items: unknown[] = [];
  for await (const each of result as AsyncIterable<unknown>) items.push(shown(each));
  return { items };
}

function began(line: Line): unknown {
  const client = clients.get(line.client) as MemoryClient;
  const call = CALLS[line.call];
  if (call === undefined) throw new Error(`nothing is known of ${line.call}`);
  const user = () => client.user(line.user, { agentId: line.agentId, teamId: line.teamId });
  return call(line.args, user, client);
}

function failed(error: MemoryServiceError): object {
  const { code, reason, message, metadata, retryAfterSeconds } = error;
  const state = error instanceof ExtractionFailed ? { state: error.state } : {};
  return {
    code,
    reason,
    message,
    metadata,
    retryAfterSeconds,
    fields: error.fields.map((each) => each.field),
    ...state,
  };
}

for await (const text of createInterface({ input: process.stdin })) {
  const line = JSON.parse(text);
  const said = await answer(line);
  process.stdout.write(`${JSON.stringify({ id: line.id, ...said })}\n`);
}
for (const client of clients.values()) client.close();
