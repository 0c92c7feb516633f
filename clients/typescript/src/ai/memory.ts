/** Memory of one user in one conversation, for an agent of the AI SDK: what is known goes in, what was said comes out. */
import { jsonSchema, type LanguageModelMiddleware, type ToolSet, tool } from "ai";
import type { Context, ContextOptions } from "../context.js";
import { MemoryServiceError, serviceIsDown } from "../errors.js";
import type { LearningMode } from "../generated/memsvc/v1/common_pb.js";
import type { Message } from "../generated/memsvc/v1/message_pb.js";
import type { Settings } from "../settings.js";
import type { User } from "../user.js";
import type { Word } from "../words.js";
import { heard } from "./answer.js";
import { fitting } from "./fitting.js";
import { assistantMessages, instruction, messagesOf } from "./messages.js";
import { beginning, goesOn, question, withContext, withoutAnswer } from "./prompt.js";
import type { Content, Prompt } from "./spec.js";

/** Where memory did not answer before: the user waits for what follows the answer. */
const LATE_APPEND_SECONDS = 1;
const UNAVAILABLE = "Memory is not available right now. Answer without it.";

export interface AgentMemoryOptions {
  /** How memory changes, whatever is configured: in "agentic" and "both" the model may, by its tools. */
  readonly mode?: Word<typeof LearningMode>;
  /** How the context is made: `{ maxCharacters: 2000 }`. */
  readonly context?: Omit<ContextOptions, "query" | "orEmpty" | "settings">;
  /** Takes what there is to say where memory is down; default: `console.warn`. It has no word of what was said. */
  readonly warn?: (message: string) => void;
}

export interface AgentMemory {
  /** For `wrapLanguageModel`. What is known is asked for once a turn, and the turn stored once the model has answered. */
  readonly middleware: LanguageModelMiddleware;
  /** Get the tools of memory, as configured; none where it is down. Whose memory they use no argument says. */
  tools(): Promise<ToolSet>;
}

/**
 * Give an agent a user's memory; without it, where it is down, the agent answers all the same. One for each conversation,
 * and so for each request of a server: it sends nothing until it is used.
 */
export function agentMemory(user: User, sessionId: string, options: AgentMemoryOptions = {}): AgentMemory {
  const conversation = new Conversation(user, sessionId, options);
  return {
    middleware: {
      specificationVersion: "v4",
      async wrapGenerate({ model, params }) {
        const turn = await conversation.turn(params.prompt);
        const result = await model.doGenerate({ ...params, prompt: withContext(params.prompt, turn.text) });
        if (result.finishReason.unified !== "error") await conversation.answered(turn, params.prompt, result.content);
        return result;
      },
      async wrapStream({ model, params }) {
        const turn = await conversation.turn(params.prompt);
        const result = await model.doStream({ ...params, prompt: withContext(params.prompt, turn.text) });
        const ended = (answer: Content[]) => conversation.answered(turn, params.prompt, answer);
        return { ...result, stream: heard(result.stream, params.abortSignal, ended) };
      },
    },
    tools: () => conversation.tools(),
  };
}

/** What a turn knows. */
interface Turn {
  /** What makes it this one: all its questions to the model begin with the same. */
  readonly start: string;
  readonly text: string;
  readonly memoryIds: readonly string[];
}

class Conversation {
  private current: Turn | undefined;
  private down = false;
  private readonly settings: Settings | undefined;
  private readonly warn: (message: string) => void;

  constructor(
    private readonly user: User,
    private readonly sessionId: string,
    private readonly options: AgentMemoryOptions,
  ) {
    this.settings = options.mode === undefined ? undefined : { mode: options.mode };
    this.warn = options.warn ?? console.warn;
  }

  /** Return the turn that a question to the model belongs to; a new one asks what is known. */
  async turn(prompt: Prompt): Promise<Turn> {
    const begin = beginning(prompt);
    const query = question(prompt, begin);
    const start = `${begin} ${query}`;
    if (this.current?.start === start) return this.current;
    const cut = prompt.at(-1)?.role === "user" ? withoutAnswer(prompt, begin) : [];
    // Of messages behind one of the system's the service stores those that it does not hold, and none where it holds all.
    if (cut.length) await this.append([...instruction("All that was said."), ...messagesOf(cut)]);
    const { text, memoryIds } = await this.context(query);
    this.current = { start, text, memoryIds };
    return this.current;
  }

  /** Store a turn, unless the agent goes on with it. */
  async answered(turn: Turn, prompt: Prompt, answer: readonly Content[]): Promise<void> {
    if (goesOn(answer)) return;
    if (this.current === turn) this.current = undefined;
    const begin = beginning(prompt);
    if (begin < 0) return;
    await this.append([...messagesOf(prompt.slice(begin)), ...assistantMessages(answer)], turn.memoryIds);
  }

  async tools(): Promise<ToolSet> {
    try {
      const listed = await this.user.tools("generic", this.stated());
      this.down = false;
      return Object.fromEntries(listed.map((each) => [each.name, this.tool(each)]));
    } catch (failure) {
      this.missed(failure);
      return {};
    }
  }

  private tool({ name, description, parameters }: { name: string; description: string; parameters: object }) {
    return tool({
      description,
      inputSchema: jsonSchema<object>(parameters),
      execute: async (given: object, { toolCallId }): Promise<string> => {
        const call = { callId: toolCallId, sessionId: this.sessionId, ...this.stated() };
        try {
          return (await this.user.callTool(name, given, call)).text;
        } catch (failure) {
          this.missed(failure);
          return UNAVAILABLE;
        }
      },
    });
  }

  private async context(query: string): Promise<Context> {
    const context = await this.user.context({ ...this.options.context, query, orEmpty: true, ...this.stated() });
    if (context.failure) this.missed(context.failure);
    else this.down = false;
    return context;
  }

  private async append(messages: Message[], contextMemoryIds: readonly string[] = []): Promise<void> {
    const patience = this.down ? { timeoutSeconds: LATE_APPEND_SECONDS } : {};
    const stated = { contextMemoryIds, ...patience, ...this.stated() };
    try {
      for (const [index, run] of fitting(messages).entries()) {
        // What follows the first is new, also where it is the same as what that ends with.
        await this.user.appendRun(this.sessionId, run, { ...stated, skipStored: index === 0 });
      }
    } catch (failure) {
      if (failure instanceof MemoryServiceError && !serviceIsDown(failure)) {
        // The answer is not lost for it.
        this.warn(`memsvc: run_not_stored: ${short(failure)}`);
      } else this.missed(failure);
    }
  }

  private stated(): { settings?: Settings } {
    return this.settings ? { settings: this.settings } : {};
  }

  /** Say once that memory is down. Throws what is an error of the caller's. */
  private missed(failure: unknown): void {
    if (!(failure instanceof MemoryServiceError) || !serviceIsDown(failure)) throw failure;
    if (!this.down) this.warn(`memsvc: memory_down: the agent goes on without it: ${short(failure)}`);
    this.down = true;
  }
}

/** Say what failed, without a word of what was said. */
function short(failure: MemoryServiceError): string {
  const fields = failure.fields.map(({ field, description }) => `${field} ${description}`).join(", ");
  return [failure.code, failure.reason, fields || failure.message].filter(Boolean).join(" ");
}
