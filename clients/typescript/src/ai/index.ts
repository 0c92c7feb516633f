/**
 * Memory for agents made with the AI SDK (the package `ai`).
 *
 *     const memory = agentMemory(client.user("sarah"), "session-7");
 *     const model = wrapLanguageModel({ model: openai("gpt-5-mini"), middleware: memory.middleware });
 */
export { type AgentMemory, type AgentMemoryOptions, agentMemory } from "./memory.js";
