/** What callers may write, and what goes over the wire for it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Layer, Role } from "../src/generated/memsvc/v1/common_pb.js";
import { chatMessages, messagesToWire } from "../src/messages.js";
import { connect } from "../src/node.js";
import { consistencyToWire, filterToWire } from "../src/selection.js";
import { settingsToWire } from "../src/settings.js";
import { parseTarget } from "../src/targets.js";
import { enumValue, requestId } from "../src/words.js";
import { changedMemory, newMemory, spoken, valueAt } from "../src/writing.js";

test("targets are sockets and addresses", () => {
  assert.deepEqual(parseTarget("unix:///run/memsvc.sock"), { kind: "socket", path: "/run/memsvc.sock" });
  assert.deepEqual(parseTarget("[::1]:7432"), { kind: "tcp", authority: "[::1]:7432" });
  assert.deepEqual(parseTarget("tls://memory.example.com:7432"), { kind: "tls", authority: "memory.example.com:7432" });
});

test("a target that makes no sense is refused, and not shown", () => {
  const wrong = [
    "",
    "memory.db",
    "localhost",
    "localhost:0",
    "localhost:99999",
    "https://example.com",
    "unix://host/path",
  ];
  for (const target of [...wrong, "postgresql://me:secret@db/memsvc", "me:secret@host:1"]) {
    assert.throws(
      () => connect(target),
      (error: Error) => error instanceof TypeError && !error.message.includes("secret"),
      target,
    );
  }
});

test("messages are pairs, chat messages and the protos' own", () => {
  const [pair, call, result, image] = messagesToWire([
    ["human", "Hi"],
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function", function: { name: "weather", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "c1", content: "Rain" },
    {
      role: "user",
      content: [
        { type: "text", text: "See:" },
        { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
      ],
    },
  ]);
  assert.equal(pair?.role, Role.USER);
  assert.equal(call?.parts[0]?.part.case, "toolCall");
  assert.equal(result?.parts[0]?.part.case, "toolResult");
  assert.deepEqual(image?.parts[1]?.part.value, {
    ...(image?.parts[1]?.part.value as object),
    mimeType: "image/png",
    uri: "",
  });
  assert.deepEqual(messagesToWire([pair ?? ["user", ""]]), [pair]);
});

test("history has the form that model providers take", () => {
  const given = [
    { role: "user", content: "How is the weather?" },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function" as const, function: { name: "weather", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "c1", content: "Rain" },
  ];
  assert.deepEqual(chatMessages(messagesToWire(given)), given);
});

test("a wrong message is named by its index", () => {
  assert.throws(() => messagesToWire([["user", "Hi"], { role: "king", content: "x" }]), /messages\[1\]\.role: king/);
  assert.throws(() => messagesToWire([{ role: "user" }]), /messages\[0\] has neither content nor tool_calls/);
  assert.throws(() => messagesToWire([]), /must not be empty/);
  assert.throws(() => messagesToWire("Hi" as never), /not a string/);
});

test("words stand for values of enums", () => {
  assert.equal(enumValue(Layer, "profile", "layer"), Layer.PROFILE);
  assert.equal(enumValue(Layer, Layer.POLICY, "layer"), Layer.POLICY);
  assert.throws(
    () => enumValue(Layer, "unspecified" as never, "layer"),
    /layer: unspecified is none of profile, policy/,
  );
});

test("settings are named by their paths, and null clears", () => {
  const { settings, paths } = settingsToWire({
    mode: "both",
    profile: { schema: { type: "object" }, prompt: null },
    operations: { delete: false },
    retention: { runs: 60 },
  });
  assert.deepEqual(paths, ["mode", "profile.schema_json", "profile.prompt", "operations.delete", "retention.runs"]);
  assert.equal(settings.profile?.schemaJson, '{"type":"object"}');
  assert.equal(settings.profile?.prompt, undefined);
  assert.equal(settings.operations?.delete, false);
  assert.equal(settings.retention?.runs?.seconds, 60n);
  assert.throws(() => settingsToWire({ profile: { shwon: true } as never }), /profile\.shwon is no setting/);
  assert.throws(() => settingsToWire({ moed: "off" } as never), /moed is no setting/);
});

test("filters and consistency are refused where they would mean something else", () => {
  assert.throws(() => filterToWire({ topic: ["a"] } as never), /filter has no field topic/);
  assert.throws(() => consistencyToWire({ atLeastRevision: 1n, asOfRevision: 2n }), /exactly one/);
  assert.throws(() => consistencyToWire({ latest: true } as never), /no latest/);
});

test("an update names what it sets, and what it clears", () => {
  const { memory, updateMask } = changedMemory("m1", { text: "New", topics: null, ttlSeconds: 90.5, value: false });
  assert.deepEqual(updateMask.paths, ["text", "topics", "ttl", "value_json"]);
  assert.equal(memory.expiration.case, "ttl");
  assert.equal(memory.valueJson, "false");
  assert.throws(() => changedMemory("m1", {}), /nothing to update/);
  assert.throws(() => changedMemory("m1", { txet: "x" } as never), /no field txet/);
  assert.throws(() => newMemory("x", { observeTime: "yesterday" }), /observeTime must be a time/);
  assert.throws(() => newMemory("x", { expireTime: new Date(), ttlSeconds: 1 }), /say the same/);
});

test("a value at a key is JSON, else the text", () => {
  assert.deepEqual(valueAt(newMemory("Writes Go", { key: "stack", value: ["Go"] })), ["Go"]);
  assert.equal(valueAt(newMemory("Nurse", { key: "role" })), "Nurse");
  assert.equal(valueAt(newMemory("Nurse", {})), undefined);
  assert.equal(spoken(["Python", 3, true]), "Python, 3, true");
});

test("request ids are UUIDs", () => {
  assert.match(requestId(undefined), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(requestId(undefined), requestId(""));
  assert.equal(requestId("mine"), "mine");
});
