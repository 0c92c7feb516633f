/** A chat with an agent that remembers, a line for each thing that you say: `node example.js sarah`. */
import { createInterface } from "node:readline/promises";
import { openai } from "@ai-sdk/openai";
import { isStepCount, type ModelMessage, streamText, wrapLanguageModel } from "ai";
import { connect } from "memsvc";
import { agentMemory } from "memsvc/ai";

const client = connect(process.env["MEMSVC_TARGET"] ?? "unix:///run/memsvc/memsvc.sock");
const memory = agentMemory(client.user(process.argv[2] ?? "sarah"), `chat-${Date.now()}`, { mode: "both" });
const model = wrapLanguageModel({
  model: openai.chat(process.env["OPENAI_MODEL"] ?? "gpt-5-mini"),
  middleware: memory.middleware,
});
const tools = await memory.tools();
const messages: ModelMessage[] = [];

for await (const content of createInterface({ input: process.stdin })) {
  messages.push({ role: "user", content });
  const answer = streamText({ model, tools, messages, stopWhen: isStepCount(5) });
  for await (const piece of answer.textStream) process.stdout.write(piece);
  process.stdout.write("\n");
  messages.push(...(await answer.responseMessages));
}
client.close();
