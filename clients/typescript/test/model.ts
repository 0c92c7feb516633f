/** The scripted model of agents, as a process that speaks OpenAI's HTTP API. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../../../..");

/** A message as it arrived. */
export interface Asked {
  readonly role: string;
  readonly content: string;
}

export class ScriptedModel {
  private constructor(
    private readonly process: ChildProcess,
    readonly baseURL: string,
  ) {}

  /** Start it; `delaySeconds` is how long each piece of eight characters takes. */
  static async start(delaySeconds = 0): Promise<ScriptedModel> {
    const command = ["-m", "memsvc.testing.fake_openai", "--agent", `--delay-seconds=${delaySeconds}`];
    const child = spawn(join(ROOT, ".venv/bin/python"), command, { stdio: ["ignore", "pipe", "inherit"], cwd: ROOT });
    const [line] = await once(child.stdout, "data");
    return new ScriptedModel(child, String(line).trim());
  }

  /** Return the messages of each request, oldest first. */
  async asked(): Promise<Asked[][]> {
    const reply = await fetch(this.baseURL.replace("/v1", "/fake/requests"));
    const { requests } = (await reply.json()) as { requests: { body: string }[] };
    return requests.map(({ body }) => JSON.parse(body).messages);
  }

  async forget(): Promise<void> {
    await fetch(this.baseURL.replace("/v1", "/fake/requests"), { method: "DELETE" });
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    this.process.kill();
    await once(this.process, "exit");
  }
}
