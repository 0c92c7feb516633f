/** An agent of the AI SDK with memory: what arrives in its prompt, what is learned, whose it is. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, jsonSchema, type ModelMessage, streamText, tool, wrapLanguageModel } from "ai";
import { heard } from "../src/ai/answer.js";
import { type AgentMemoryOptions, agentMemory } from "../src/ai/index.js";
import type { Content, StreamPart } from "../src/ai/spec.js";
import { connect, type MemoryClient, type Part, Role, Trust } from "../src/node.js";
import { ScriptedModel } from "./model.js";
import { TestServer } from "./server.js";

let server: TestServer;
let scripted: ScriptedModel;
let client: MemoryClient;
const userId = () => `user-${randomUUID()}`;

before(async () => {
  [server, scripted] = await Promise.all([TestServer.start(), ScriptedModel.start()]);
  client = connect(server.target, { contextTimeoutSeconds: 30, timeoutSeconds: 30 });
});
after(async () => {
  client.close();
  await Promise.all([server.stop(), scripted.stop()]);
});
beforeEach(() => scripted.forget());

/** Return an agent of one user in one conversation. */
function agentOf(
  user: string,
  sessionId = "s1",
  options: AgentMemoryOptions = {},
  from = client,
  baseURL = scripted.baseURL,
) {
  const memory = agentMemory(from.user(user), sessionId, options);
  const openai = createOpenAI({ baseURL, apiKey: "none" });
  return { memory, model: wrapLanguageModel({ model: openai.chat("scripted"), middleware: memory.middleware }) };
}

/** Return what is known once all that was said is learned. */
const learned = async (user: string) => (await client.user(user).context({ waitSeconds: 30 })).text;

/** Return the runs of a session as roles and texts. */
async function stored(user: string, sessionId = "s1") {
  const runs = await client.user(user).runs(sessionId).toArray();
  return runs.map((run) => run.messages.map(({ role }) => Role[role]?.toLowerCase()).join(" "));
}

const weather = tool({
  description: "Tell the weather.",
  inputSchema: jsonSchema<object>({ type: "object", properties: {} }),
  execute: async () => "Rain.",
});

test("what a user said is in the prompt of the next conversation", async () => {
  const user = userId();
  await generateText({ ...agentOf(user), instructions: "Be brief.", prompt: "I live in Lyon." });
  assert.match(await learned(user), /Lyon/);
  const { text } = await generateText({ ...agentOf(user, "s2"), instructions: "Be brief.", prompt: "My location?" });
  assert.match(text, /Lyon/);
  const asked = await scripted.asked();
  assert.equal(asked.length, 2);
  assert.deepEqual(
    asked[1]?.map(({ role }) => role),
    ["system", "user"],
  );
  assert.match(asked[1]?.[0]?.content ?? "", /^Be brief\.\n\n<user_memory>[\s\S]*location: Lyon/);
  assert.deepEqual(await stored(user), ["user assistant"]);
});

test("each turn of a conversation is one run, although all of it is handed over", async () => {
  const user = userId();
  const messages: ModelMessage[] = [];
  const agent = agentOf(user);
  for (const content of ["I like tea.", "I like tea.", "And coffee."]) {
    messages.push({ role: "user", content });
    messages.push(...(await generateText({ ...agent, messages })).responseMessages);
  }
  const runs = await client.user(user).history("s1");
  assert.equal(runs.runCount, 3);
  assert.deepEqual(
    runs.messages.filter(({ role }) => role === "user").map(({ content }) => content),
    ["I like tea.", "I like tea.", "And coffee."],
  );
});

test("a NUL in what was said costs no run", async () => {
  const user = userId();
  await generateText({ ...agentOf(user), prompt: "I like\0 tea." });
  const { messages } = await client.user(user).history("s1");
  assert.deepEqual(
    messages.map(({ content }) => content),
    ["I like tea.", "You said: I like tea."],
  );
});

test("what is too large costs no turn: it is kept by its beginning, or stored as several runs", async () => {
  const user = userId();
  const answered = (value: string) => ({
    type: "tool-result" as const,
    toolCallId: "c1",
    toolName: "read",
    output: { type: "text" as const, value },
  });
  const long = "é".repeat(150_000);
  const call = { type: "tool-call" as const, toolCallId: "c1", toolName: "read", input: { text: '"'.repeat(300_000) } };
  const messages: ModelMessage[] = [
    { role: "user", content: "Read it." },
    { role: "assistant", content: [call] },
    ...Array.from(
      { length: 1_100 },
      (_, index): ModelMessage => ({ role: "tool", content: [answered(index < 9 ? long : "ok")] }),
    ),
  ];
  await generateText({ ...agentOf(user), messages });
  const runs = await client.user(user).runs("s1").toArray();
  const stored = runs.flatMap((run) => run.messages);
  assert.equal(stored.length, 1_104 - 1);
  assert.ok(runs.length > 1);
  const read = stored[2]?.parts[0]?.part;
  const text = read?.case === "toolResult" && read.value.parts[0]?.part;
  assert.ok(text && text.case === "text");
  const [kept, note] = text.value.text.split("\n");
  assert.match(kept ?? "", /^é{131000,}$/);
  assert.equal(note, `[... ${300_000 - 2 * (kept?.length ?? 0)} bytes left out]`);
  const called = stored[1]?.parts[0]?.part;
  assert.ok(called?.case === "toolCall");
  assert.match(JSON.parse(called.value.argumentsJson).input, /^{"text":"\\"[\s\S]* bytes left out\]$/);
});

test("of too many parts the first are kept, with how many are left out", async () => {
  const user = userId();
  const lines = Array.from({ length: 1_500 }, (_, index) => ({ type: "text" as const, text: `line ${index}` }));
  const call = { type: "tool-call" as const, toolCallId: "c1", toolName: "read", input: {} };
  const output = { type: "content" as const, value: lines };
  const messages: ModelMessage[] = [
    { role: "user", content: lines.slice(0, 1_001) },
    { role: "assistant", content: [call] },
    { role: "tool", content: [{ type: "tool-result", toolCallId: "c1", toolName: "read", output }] },
  ];
  await generateText({ ...agentOf(user), messages });
  const [run] = await client.user(user).runs("s1").toArray();
  const told = (parts: readonly Part[]) => parts.slice(-2).map(({ part }) => part.case === "text" && part.value.text);
  const read = run?.messages[2]?.parts[0]?.part;
  assert.deepEqual(told(run?.messages[0]?.parts ?? []), ["line 998", "[... 2 parts left out]"]);
  assert.ok(read?.case === "toolResult");
  assert.deepEqual(told(read.value.parts), ["line 997", "[... 502 parts left out]"]);
});

test("the same question in two conversations of one agent is two runs", async () => {
  const user = userId();
  const agent = agentOf(user);
  await generateText({ ...agent, prompt: "I like tea." });
  await generateText({ ...agent, prompt: "I like tea." });
  assert.deepEqual(await stored(user), ["user assistant", "user assistant"]);
});

test("a streamed answer is passed on as it comes, and stored whole", async () => {
  const user = userId();
  const result = streamText({ ...agentOf(user), prompt: "I live in Lyon, and not anywhere else." });
  const pieces: string[] = [];
  for await (const piece of result.textStream) pieces.push(piece);
  assert.ok(pieces.length > 1);
  assert.match(await learned(user), /Lyon/);
  const { messages } = await client.user(user).history("s1");
  assert.deepEqual(
    messages.map(({ content }) => content),
    ["I live in Lyon, and not anywhere else.", pieces.join("")],
  );
});

for (const [name, end] of [
  ["aborted", (abort: AbortController) => abort.abort()],
  ["left", () => {}],
] as const) {
  test(`a stream that is ${name} is stored as far as it came`, async () => {
    const user = userId();
    const slow = await ScriptedModel.start(0.2);
    try {
      const abort = new AbortController();
      const agent = agentOf(user, "s1", {}, client, slow.baseURL);
      const question = "I live in Lyon, and this is more than is said at once.";
      const stream = await agent.model.doStream({
        prompt: [{ role: "user", content: [{ type: "text", text: question }] }],
        abortSignal: abort.signal,
      });
      await assert.doesNotReject(async () => {
        try {
          for await (const part of stream.stream) {
            if (part.type !== "text-delta") continue;
            end(abort);
            if (name === "left") break;
          }
        } catch (failure) {
          if ((failure as Error).name !== "AbortError") throw failure;
        }
      });
      const { messages } = await client.user(user).history("s1");
      assert.equal(messages[0]?.content, question);
      const answer = String(messages[1]?.content);
      assert.ok(`You said: ${question}`.startsWith(answer) && answer.length < question.length, answer);
    } finally {
      await slow.stop();
    }
  });
}

test("a model hears at once that its answer is left, and not with its next piece", async () => {
  const reasons: unknown[] = [];
  const model = new ReadableStream<StreamPart>({
    start(controller) {
      controller.enqueue({ type: "text-start", id: "1" });
      controller.enqueue({ type: "text-delta", id: "1", delta: "Hello" });
    },
    cancel: (reason) => void reasons.push(reason),
  });
  const said: Content[][] = [];
  const reader = heard(model, undefined, async (answer) => void said.push(answer)).getReader();
  await reader.read();
  await reader.read();
  const next = reader.read();
  await reader.cancel("enough");
  assert.deepEqual(reasons, ["enough"]);
  assert.deepEqual(said, [[{ type: "text", text: "Hello" }]]);
  assert.equal((await next).done, true);
});

test("the calls of tools are kept, and a turn of several steps is one run with one context", async () => {
  const user = userId();
  const { memory, model } = agentOf(user, "s1", { mode: "agentic" });
  const tools = { get_weather: weather, ...(await memory.tools()) };
  await generateText({ model, tools, stopWhen: isStepCount(5), prompt: "I'm allergic to peanuts." });
  const asked = await scripted.asked();
  // What was saved meanwhile is not in the second prompt: it begins as the first one did.
  assert.deepEqual(
    asked.map((messages) => messages[0]?.role),
    ["user", "user"],
  );
  assert.deepEqual(await stored(user), ["user assistant tool assistant"]);
  const [memoryOfUser] = await client.user(user).memories.list().toArray();
  assert.equal(memoryOfUser?.trust, Trust.FROM_TOOL);
  assert.match(memoryOfUser?.text ?? "", /peanuts/);
});

test("a turn that stops at a tool is stored with the next, once", async () => {
  const user = userId();
  const { memory, model } = agentOf(user, "s1", { mode: "agentic" });
  const tools = await memory.tools();
  const messages: ModelMessage[] = [{ role: "user", content: "I'm allergic to peanuts." }];
  messages.push(...(await generateText({ model, tools, messages })).responseMessages);
  assert.deepEqual(await stored(user), []);
  messages.push({ role: "user", content: "Hello." });
  const failing = agentOf(user, "s1", {}, client, "http://127.0.0.1:1");
  await assert.rejects(generateText({ ...failing, messages, maxRetries: 0 }), /connect/);
  await generateText({ model, tools, messages });
  assert.deepEqual(await stored(user), ["user assistant tool", "user assistant"]);
});

test("no argument of a tool says whose memory it is", async () => {
  const [ada, ben] = [userId(), userId()];
  const { save_memory: save } = await agentOf(ada, "s1", { mode: "agentic" }).memory.tools();
  const call = (given: object, toolCallId: string) =>
    save?.execute?.(given as never, { toolCallId, messages: [], context: undefined });
  await call({ layer: "knowledge", text: "Likes tea" }, "call_1");
  assert.match(String(await call({ layer: "knowledge", text: "Likes tea", user_id: ben }, "call_2")), /user_id/);
  assert.deepEqual(
    await Promise.all([ada, ben].map(async (each) => (await client.user(each).memories.list().toArray()).length)),
    [1, 0],
  );
});

test("two users at once keep apart", async () => {
  const users = [`ada-${userId()}`, `ben-${userId()}`];
  const places = ["Lyon", "Oslo"];
  await Promise.all(
    users.map((user, index) => generateText({ ...agentOf(user), prompt: `I live in ${places[index]}.` })),
  );
  await Promise.all(users.map(learned));
  await scripted.forget();
  const answers = await Promise.all(
    users.map((user) => generateText({ ...agentOf(user), prompt: "Which location am I at?" })),
  );
  assert.deepEqual(
    answers.map(({ text }) => places.map((place) => text.includes(place))),
    [
      [true, false],
      [false, true],
    ],
  );
});

test("without its memory the agent answers, and one line says so", async () => {
  using nowhere = connect("127.0.0.1:1");
  const lines: string[] = [];
  const { memory, model } = agentOf(userId(), "s1", { mode: "both", warn: (line) => lines.push(line) }, nowhere);
  const tools = await memory.tools();
  assert.deepEqual(tools, {});
  const { text } = await generateText({ model, tools, prompt: "I live in Lyon." });
  assert.equal(text, "You said: I live in Lyon.");
  const streamed = streamText({ model, prompt: "I live in Lyon." });
  assert.equal(await streamed.text, "You said: I live in Lyon.");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^memsvc: memory_down: .*UNAVAILABLE/);
  assert.doesNotMatch(lines[0] ?? "", /Lyon/);
});

test("what is wrong with a run is said, and the answer is not lost for it; nobody's wrong user is", async () => {
  const lines: string[] = [];
  const agent = agentOf(userId(), "s".repeat(300), { warn: (line) => lines.push(line) });
  const { text } = await generateText({ ...agent, prompt: "I live in Lyon." });
  assert.equal(text, "You said: I live in Lyon.");
  assert.match(lines.join(), /^memsvc: run_not_stored: INVALID_ARGUMENT [^ ]+ run\.session_id/);
  await assert.rejects(generateText({ ...agentOf("x".repeat(300)), prompt: "Hi" }), { code: "INVALID_ARGUMENT" });
});

test("the example of README.md runs", async () => {
  const readme = readFileSync(join(import.meta.dirname, "../../ai/README.md"), "utf8");
  const program = /^```ts\n(.*?)^```$/ms.exec(readme)?.[1] ?? "";
  const openai = createOpenAI({ baseURL: scripted.baseURL, apiKey: "none" }).chat;
  const given = { connect: () => client, agentMemory, wrapLanguageModel, generateText, openai };
  const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
  await AsyncFunction(...Object.keys(given), program)(...Object.values(given));
  assert.deepEqual(await stored("sarah"), ["user assistant"]);
});
