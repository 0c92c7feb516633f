/** Which method of the client a call of the contract is. */
import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { BatchWriteOperationSchema } from "../src/generated/memsvc/v1/memory_pb.js";
import { MessageSchema } from "../src/generated/memsvc/v1/message_pb.js";
import type { Consistency, MemoryClient, MemoryFilter, Settings, Source, User, Which } from "../src/node.js";
import { shown, shownContext, wire, word, words } from "./forms.js";

// biome-ignore lint/suspicious/noExplicitAny: arguments are JSON
type Args = any;
type Call = (args: Args, user: () => User, client: MemoryClient) => unknown;

/** The calls that answer a list or a stream. */
export const LISTS: ReadonlySet<string> = new Set([
  ...["users", "memories.list", "topics", "changes", "runs", "sessions", "extractions.list"],
  ...["watch", "extract", "extractions.watch"],
]);

export const CALLS: Readonly<Record<string, Call>> = {
  serverInfo: (args, _, client) => client.serverInfo(args),
  users: (args, _, client) => client.users(args),
  "config.get": (args, _, client) => client.config.get(args),
  "config.update": ({ settings, updateMask, ...rest }, _, client) =>
    client.config.update(masked(settings ?? {}, updateMask), rest),

  "memories.add": async ({ text, ...rest }, user) => ({
    memoryId: await user().memories.add(text, { ...fields(rest), ...options(rest) }),
  }),
  "memories.get": (args, user) => user().memories.get(which(args), options(args)),
  "memories.update": ({ set, clear, ...rest }, user) =>
    user().memories.update(which(rest), { ...fields(set ?? {}), ...cleared(clear) }, options(rest)),
  "memories.replace": ({ memoryId, text, ...rest }, user) => user().memories.replace(memoryId, text, options(rest)),
  "memories.upsert": ({ layer, key, text, ...rest }, user) =>
    user().memories.upsert(word("LAYER", layer), key, { ...fields(rest), text }, options(rest)),
  "memories.delete": async (args, user) => ({
    revision: shown(await user().memories.delete(which(args), options(args))),
  }),
  "memories.search": ({ query, method, ...rest }, user) =>
    user().memories.search(query, { ...rest, ...options(rest), method: word("SEARCH_METHOD", method) }),
  "memories.list": ({ order, pageSize, ...rest }, user) =>
    user().memories.list(filter(rest.filter), { ...options(rest), order: word("MEMORY_ORDER", order), pageSize }),
  "memories.batch": ({ operations, ...rest }, user) =>
    user().memories.batch(
      operations.map((each: JsonValue) => fromJson(BatchWriteOperationSchema, each)),
      options(rest),
    ),
  "memories.clear": async (args, user) => ({
    clearedCount: await user().memories.clear(args.all ? "all" : (filter(args.filter) ?? {}), options(args)),
  }),
  "memories.undo": ({ revision, ...rest }, user) => user().memories.undo(revision && BigInt(revision), options(rest)),
  "memories.restore": ({ revision, memoryIds, all, ...rest }, user) =>
    user().memories.restore(BigInt(revision), all ? "all" : memoryIds, options(rest)),

  topics: (args, user) => user().topics(filter(args.filter), options(args)),
  changes: (args, user) => user().changes(args.memoryId || args.layer ? which(args) : undefined, options(args)),
  watch: (args, user) => user().watch({ ...args, filter: filter(args.filter) }),
  get: async (args, user) => {
    const found = await user().get({ ...options(args), layers: words("LAYER", args.layers) });
    return found ? { ...found, documentJson: JSON.stringify(found.document) } : {};
  },
  context: async ({ layers, format, ...rest }, user) =>
    shownContext(
      await user().context({
        ...rest,
        ...options(rest),
        layers: words("LAYER", layers),
        format: word("CONTEXT_FORMAT", format),
      }),
    ),
  stats: (args, user) => user().stats(options(args)),
  erase: (args, user) => user().erase(args),

  appendRun: ({ sessionId, messages, waitSeconds, learningMode, ...rest }, user) =>
    user().appendRun(sessionId, given(messages), {
      ...rest,
      ...options(rest),
      wait: waitSeconds,
      learningMode: word("LEARNING_MODE", learningMode),
    }),
  history: async ({ sessionId, roles, ...rest }, user) => {
    const history = await user().history(sessionId, { ...rest, roles: words("ROLE", roles) });
    return { ...history, messages: wire(history.messages) };
  },
  searchHistory: async ({ query, roles, ...rest }, user) => ({
    passages: await user().searchHistory(query, { ...rest, roles: words("ROLE", roles) }),
  }),
  runs: ({ sessionId, ...rest }, user) => user().runs(sessionId, rest),
  session: ({ sessionId, ...rest }, user) => user().session(sessionId, rest),
  sessions: (args, user) => user().sessions(args),
  deleteSession: ({ sessionId, ...rest }, user) => user().deleteSession(sessionId, rest),

  extract: (args, user) => user().extract(source(args), options(args)),
  learn: (args, user) => user().learn(source(args), options(args)),
  "extractions.get": ({ extractionId, ...rest }, user) => user().extractions.get(extractionId, rest),
  "extractions.cancel": ({ extractionId, ...rest }, user) => user().extractions.cancel(extractionId, rest),
  "extractions.retry": async ({ extractionIds, ...rest }, user) => ({
    extractions: await user().extractions.retry(extractionIds, rest),
  }),
  "extractions.list": ({ states, ...rest }, user) =>
    user().extractions.list({ ...rest, states: words("EXTRACTION_STATE", states) }),
  "extractions.watch": ({ extractionId, ...rest }, user) => user().extractions.watch(extractionId, rest),

  tools: async ({ format, ...rest }, user) => ({
    definitions: await user().tools(word("TOOL_FORMAT", format), options(rest)),
  }),
  callTool: ({ name, arguments: its, ...rest }, user) => user().callTool(name, its, options(rest)),
  runToolCalls: async ({ message, ...rest }, user) => ({ messages: await user().runToolCalls(message, options(rest)) }),
};

function which(args: Args): Which {
  return args.memoryId ?? { layer: word("LAYER", args.layer), key: args.key };
}

/** Return the fields of a memory under the client's names. */
function fields(args: Args): object {
  const { valueJson, layer, trust, polarity, ...rest } = args;
  const names = ["key", "memoryId", "sessionId", "duplicate", "text", "topics", "input", "metadata", "observeTime"];
  const given = Object.entries(rest).filter(([name]) =>
    [...names, "expireTime", "ttlSeconds", "validFrom", "validTo"].includes(name),
  );
  return {
    ...Object.fromEntries(given),
    ...(layer && { layer: word("LAYER", layer) }),
    ...(trust && { trust: word("TRUST", trust) }),
    ...(polarity && { polarity: word("POLARITY", polarity) }),
    ...(valueJson && { value: JSON.parse(valueJson) }),
  };
}

function cleared(names: readonly string[] | undefined): object {
  return Object.fromEntries((names ?? []).map((name) => [name === "valueJson" ? "value" : name, null]));
}

/** Return what is no field: the deadline, guards, and how fresh a read must be. */
function options(args: Args): Args {
  const { expectedRevision, consistency, settings, filter: _, ...rest } = args;
  for (const name of [
    "topics",
    "metadata",
    "key",
    "layer",
    "memoryId",
    "text",
    "valueJson",
    "trust",
    "polarity",
    "input",
  ])
    delete rest[name];
  return {
    ...rest,
    ...(args.filter && { filter: filter(args.filter) }),
    ...(expectedRevision === undefined ? {} : { expectedRevision: BigInt(expectedRevision) }),
    ...(consistency && { consistency: fresh(consistency) }),
    ...(settings && { settings: own(settings) }),
  };
}

function fresh({ maxStaleness, asOfTime, ...revisions }: Args): Consistency {
  if (maxStaleness) return { maxStalenessSeconds: Number.parseFloat(maxStaleness) };
  if (asOfTime) return { asOfTime };
  return Object.fromEntries(Object.entries(revisions).map(([name, each]) => [name, BigInt(each as string)]));
}

function filter(args: Args): MemoryFilter | undefined {
  if (args === undefined) return undefined;
  const { layers, trusts, polarities, ...rest } = args;
  return {
    ...rest,
    ...(layers && { layers: words("LAYER", layers) }),
    ...(trusts && { trusts: words("TRUST", trusts) }),
    ...(polarities && { polarities: words("POLARITY", polarities) }),
  };
}

function source(args: Args): Source {
  if (args.runIds) return { runIds: args.runIds };
  return args.text ?? given(args.messages);
}

function given(messages: JsonValue[]) {
  return messages.map((each) => fromJson(MessageSchema, each));
}

/** Return settings under the client's names. */
function own(settings: Args): Settings {
  const entries = Object.entries(settings).map(([name, value]) => {
    if (name === "mode") return [name, word("LEARNING_MODE", value as string)];
    if (value === null || typeof value !== "object") return [name, value];
    const { schemaJson, ...rest } = value as Args;
    return [name, schemaJson ? { ...rest, schema: JSON.parse(schemaJson) } : rest];
  });
  return Object.fromEntries(entries);
}

/** Return settings in which what the mask names, and the settings do not have, is null. */
function masked(settings: JsonObject, mask: string): Settings {
  const whole: Args = own(settings);
  for (const path of mask.split(",")) {
    const [part = "", name] = path.split(".");
    if (name === undefined) whole[part] ??= null;
    else whole[part] = { [name === "schemaJson" ? "schema" : name]: null, ...whole[part] };
  }
  return whole;
}
