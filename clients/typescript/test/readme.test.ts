/** The examples of README.md run as they stand, one after the other, and print what they say. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { TestServer } from "./server.js";

test("the examples of README.md run", async () => {
  const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map((found) => found[1]);
  assert.equal(blocks.length, 3);
  const server = await TestServer.start();
  try {
    const program = `${blocks.join("").replace("client.close();\n", "")}client.close();\n`
      .replaceAll('from "memsvc"', 'from "../src/node.js"')
      .replace("unix:///run/memsvc/memsvc.sock", server.target);
    const file = join(import.meta.dirname, "readme-example.mjs");
    writeFileSync(file, program);
    const { stdout } = await promisify(execFile)(process.execPath, [file]);
    assert.match(stdout, /name: Sarah/);
    const said = stdout.trim().split("\n");
    for (const line of ["accepted", "completed", "Works at Acme"]) assert.ok(said.includes(line), stdout);
    assert.match(said.at(-1) ?? "", /^KEY_TAKEN [0-9a-f-]{36}$/);
  } finally {
    await server.stop();
  }
});
