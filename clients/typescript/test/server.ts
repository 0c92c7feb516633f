/** A server of memsvc for tests, as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const ROOT = join(import.meta.dirname, "../../../..");

/** One server on a unix socket, with the HTTP port. */
export class TestServer {
  private constructor(
    private readonly folder: string,
    private readonly process: ChildProcess,
  ) {}

  static async start(): Promise<TestServer> {
    const folder = mkdtempSync(join(tmpdir(), "memsvc"));
    const settings = {
      engine: "rules",
      embedder: "none",
      "storage-url": `sqlite:///${folder}/memory.db`,
      "quiet-seconds": "0",
    };
    const where = {
      listen: `unix://${folder}/memsvc.sock`,
      "http-listen": "127.0.0.1:0",
      "ready-file": `${folder}/ready`,
    };
    const flags = Object.entries({ ...settings, ...where }).map(([name, value]) => `--${name}=${value}`);
    const command = ["-m", "memsvc", "serve", ...flags];
    const server = new TestServer(
      folder,
      spawn(join(ROOT, ".venv/bin/python"), command, {
        stdio: ["ignore", "ignore", openSync(join(folder, "log"), "a")],
        cwd: ROOT,
      }),
    );
    while (!existsSync(join(folder, "ready"))) {
      if (server.process.exitCode !== null) throw new Error(`the server ended: ${server.process.exitCode}`);
      await delay(20);
    }
    return server;
  }

  get target(): string {
    return `unix://${this.folder}/memsvc.sock`;
  }

  get url(): string {
    return readFileSync(join(this.folder, "ready"), "utf8").trim().split(/\s+/).at(-1) ?? "";
  }

  /** Let it end. Fails where it does not end well, or has ended by itself. */
  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill();
      await once(this.process, "exit");
    }
    const { exitCode, signalCode } = this.process;
    const log = readFileSync(join(this.folder, "log"), "utf8");
    rmSync(this.folder, { recursive: true, force: true });
    if (exitCode !== 0) throw new Error(`the server ended with ${exitCode ?? signalCode}\n${log}`);
  }
}
