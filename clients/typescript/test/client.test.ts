/** What the contract does not say, for it is TypeScript's own: signals, closing, browsers. Against a real server. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  connect,
  FailedPrecondition,
  Layer,
  type MemoryClient,
  NotFound,
  ResourceExhausted,
  toJson,
  Unavailable,
} from "../src/node.js";
import { connect as connectWeb } from "../src/web.js";
import { TestServer } from "./server.js";

let server: TestServer;
let client: MemoryClient;

before(async () => {
  server = await TestServer.start();
  client = connect(server.target);
});

after(async () => {
  client.close();
  await server.stop();
});

test("a call that its signal ended rejects with the signal's reason", async () => {
  const reason = new Error("enough");
  const memories = client.user("sarah").memories;
  await assert.rejects(memories.get("x", { signal: AbortSignal.abort(reason) }), reason);
  const stopping = new AbortController();
  const waiting = client.user("sarah").appendRun("s1", [["user", "Hi"]], { signal: stopping.signal });
  stopping.abort(reason);
  await assert.rejects(waiting, reason);
});

test("a stream that its signal ended rejects with the signal's reason", async () => {
  const stopping = new AbortController();
  const watch = client.user("maya").watch({ sendInitial: true, signal: stopping.signal });
  const first = await watch.next();
  assert.equal(first.value?.event.case, "initialDone");
  const next = watch.next();
  stopping.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
});

test("leaving the loop ends a stream", async () => {
  const watch = client.user("omar").watch({ sendInitial: true });
  for await (const { event } of watch) {
    assert.equal(event.case, "initialDone");
    break;
  }
  assert.deepEqual(await watch.next(), { done: true, value: undefined });
});

test("a client that is closed says so, and ends what is under way", async () => {
  const own = connect(server.target);
  const watch = own.user("hana").watch({ sendInitial: true });
  await watch.next();
  const next = watch.next();
  own.close();
  const isClosed = (error: unknown) => error instanceof FailedPrecondition && error.reason === "CLIENT_CLOSED";
  await assert.rejects(next, isClosed);
  await assert.rejects(own.serverInfo(), isClosed);
});

test("a deadline may be as far away as one likes", async () => {
  for (const timeoutSeconds of [1e6, 1e9, Number.POSITIVE_INFINITY]) {
    const own = connect(server.target, { timeoutSeconds });
    assert.ok((await own.serverInfo()).version);
    own.close();
  }
});

test("a client that waits for its server can be ended meanwhile", async () => {
  const own = connect("127.0.0.1:1", { waitForReady: true, timeoutSeconds: 600 });
  const stopping = new AbortController();
  const waiting = own.serverInfo({ signal: stopping.signal });
  stopping.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
  own.close();
});

test("nobody there is Unavailable, whatever the transport says", async () => {
  for (const target of ["127.0.0.1:1", "unix:///nowhere/memsvc.sock", "tls://127.0.0.1:1"]) {
    const own = connect(target);
    await assert.rejects(own.serverInfo(), (error) => error instanceof Unavailable && error.reason === "");
    own.close();
  }
});

test("the client of browsers has the same calls, streams and errors over HTTP", async () => {
  const web = connectWeb(server.url);
  const sarah = web.user("priscilla");
  const id = await sarah.memories.add("Lives in Lisbon", { layer: Layer.PROFILE });
  assert.equal((await sarah.memories.get(id)).text, "Lives in Lisbon");
  await assert.rejects(
    sarah.memories.get("none"),
    (error) => error instanceof NotFound && error.reason === "MEMORY_NOT_FOUND",
  );
  const cases: unknown[] = [];
  for await (const { event } of sarah.extract("I work at Acme.")) cases.push(event.case);
  assert.deepEqual([cases.at(0), cases.at(-1)], ["accepted", "completed"]);
  const watch = sarah.watch({ sendInitial: true });
  assert.equal((await watch.next()).value?.event.case, "initial");
  await watch.return();
  web.close();
});

test("what the API returns is JSON as the HTTP API writes it", async () => {
  const user = client.user("json");
  await user.memories.add("Skis at Tahoe", { layer: "profile", topics: ["sport"] });
  const [memory] = await user.memories.list().toArray();
  assert.ok(memory);
  const json = JSON.parse(JSON.stringify(toJson(memory)));
  assert.deepEqual(
    [json.text, json.layer, json.number, json.topics],
    ["Skis at Tahoe", "LAYER_PROFILE", "1", ["sport"]],
  );
  assert.match(json.createTime, /^20.*Z$/);
  assert.throws(() => toJson({ $typeName: "nobody.v1.Message" }), TypeError);
});

test("a request that no server takes is refused at once, and holds up no other call", async () => {
  const user = client.user("huge");
  const huge = user.appendRun("s1", [["user", "a".repeat(12 * 2 ** 20)]]);
  const other = user.context({ query: "Hello?" });
  await assert.rejects(huge, ResourceExhausted);
  assert.equal((await other).text, "");
});
