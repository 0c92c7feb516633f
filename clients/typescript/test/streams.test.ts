/** When a broken stream is taken up, and when it is given up: by a clock of the test's own. */
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DeadlineExceeded, NotFound, Unavailable } from "../src/errors.js";
import { WatchMemoriesRequestSchema, WatchMemoriesResponseSchema } from "../src/generated/memsvc/v1/memory_pb.js";
import { MemoryStream } from "../src/streams.js";

const GONE = new Unavailable("gone");
let now = 0;

beforeEach(() => {
  now = 0;
});

function stream(timeoutSeconds?: number): MemoryStream {
  return new MemoryStream(create(WatchMemoriesRequestSchema), timeoutSeconds, () => now);
}

test("before the first answer a server is looked for as long as a call would", () => {
  const watch = stream();
  watch.beginLeg();
  assert.ok((watch.retryDelay(GONE, 10) ?? 99) < 0.2);
  now = 9;
  assert.ok(watch.retryDelay(GONE, 10) !== undefined);
  now = 11;
  assert.equal(watch.retryDelay(GONE, 10), undefined);
});

test("a stream that has begun looks for a server for a minute", () => {
  const watch = stream();
  watch.beginLeg();
  watch.take(create(WatchMemoriesResponseSchema, { event: { case: "bookmark", value: { revision: 1n } } }));
  watch.retryDelay(GONE, 10);
  now = 58;
  assert.ok(watch.retryDelay(GONE, 10) !== undefined);
  now = 61;
  assert.equal(watch.retryDelay(GONE, 10), undefined);
});

test("a leg that lived to its deadline goes on at once, and one that was silent after a while", () => {
  const watch = stream();
  watch.beginLeg();
  assert.ok((watch.retryDelay(new DeadlineExceeded("over"), 10) ?? 0) > 0);
  watch.beginLeg();
  watch.take(create(WatchMemoriesResponseSchema));
  assert.equal(watch.retryDelay(new DeadlineExceeded("over"), 10), 0);
});

test("a server that says when to come back is heard", () => {
  const watch = stream();
  watch.beginLeg();
  assert.ok((watch.retryDelay(new Unavailable("later", { retryAfterSeconds: 7 }), 10) ?? 0) >= 7);
});

test("what no repeat mends is not repeated", () => {
  const watch = stream();
  watch.beginLeg();
  assert.equal(watch.retryDelay(new NotFound("none"), 10), undefined);
});

test("a stream ends at its deadline, also between two legs", () => {
  const watch = stream(5);
  assert.equal(watch.beginLeg().seconds, 5);
  now = 5;
  assert.equal(watch.retryDelay(GONE, 10), 0);
  assert.throws(() => watch.beginLeg(), DeadlineExceeded);
});
