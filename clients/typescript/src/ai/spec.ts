/** The types of the AI SDK's specification of a language model, as `ai` knows them: that package is all that is needed. */
import type { LanguageModelMiddleware } from "ai";

type Wrapper<Name extends "wrapGenerate" | "wrapStream"> = NonNullable<LanguageModelMiddleware[Name]>;

/** What a model is asked. */
export type Prompt = Parameters<Wrapper<"wrapGenerate">>[0]["params"]["prompt"];
/** A piece of what it answers. */
export type Content = Awaited<ReturnType<Wrapper<"wrapGenerate">>>["content"][number];
type Stream = Awaited<ReturnType<Wrapper<"wrapStream">>>["stream"];
/** A piece of it, as it comes. */
export type StreamPart = Stream extends ReadableStream<infer Part> ? Part : never;

type Said<Role extends string> = Extract<Prompt[number], { role: Role }>["content"][number];
export type UserPart = Said<"user">;
export type AssistantPart = Said<"assistant">;
export type ToolPart = Said<"tool">;
/** What a tool answered, as it stands in a prompt. */
export type ToolOutput = Extract<ToolPart, { type: "tool-result" }>["output"];
