// What a browser does, with connect-web and nothing generated: `node client.mjs URL descriptors.binpb`.
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

const [, , baseUrl, descriptors] = process.argv;
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const memories = registry.getService("memsvc.v1.MemoryService");
const extractions = registry.getService("memsvc.v1.ExtractionService");
const seen = {};
for (const [name, options] of Object.entries({
  json: {},
  binary: { useBinaryFormat: true },
  get: { useHttpGet: true },
})) {
  const transport = createConnectTransport({ baseUrl, ...options });
  const client = createClient(memories, transport);
  const scope = { userId: `web-${name}` };
  await client.createMemory({ scope, memory: { text: "Lives in Lisbon", metadata: { a: "é" } } });
  const { memories: listed, revision } = await client.listMemories({ scope });
  const failed = await client.getMemory({ scope, target: { case: "memoryId", value: "none" } }).catch((error) => error);
  const text = [];
  for await (const event of client.watchMemories({ scope, sendInitial: true }, { timeoutMs: 10_000 })) {
    text.push(event.event.case);
    if (event.event.case === "initialDone") break;
  }
  const messages = { messages: [{ role: 2, parts: [{ part: { case: "text", value: { text: "I live in Porto" } } }] }] };
  const learned = [];
  for await (const { event } of createClient(extractions, transport).extractMemories({ scope, source: { case: "messages", value: messages } })) {
    learned.push(event.event.case);
  }
  seen[name] = {
    texts: listed.map((memory) => memory.text),
    revision: String(revision),
    failed: failed instanceof ConnectError && Code[failed.code],
    details: failed.details?.map((detail) => detail.type),
    watched: text,
    learned: [learned[0], learned.at(-1)],
  };
}
console.log(JSON.stringify(seen));
