/** Settings of memory: what is not named stays, what is null is cleared. */
import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { LearningMode } from "./generated/memsvc/v1/common_pb.js";
import {
  LayerSettingsSchema,
  type MemorySettings,
  MemorySettingsSchema,
  OperationSettingsSchema,
  RetentionSettingsSchema,
} from "./generated/memsvc/v1/config_pb.js";
import { duration } from "./time.js";
import { enumValue, type Word } from "./words.js";

/** What may be said of a layer. */
export interface LayerSettings {
  /** Whether anything is learned into it. */
  readonly learned?: boolean | null;
  /** Whether contexts and tools show it. */
  readonly shown?: boolean | null;
  /** A JSON Schema: what its keys and values have to be. */
  readonly schema?: object | null;
  /** What to learn into it, instead of its own description. */
  readonly prompt?: string | null;
  /** What a model is told besides. */
  readonly captureInstructions?: string | null;
  /** Only what the user stated is learned into it. */
  readonly statedOnly?: boolean | null;
}

/** What may be set of memory, at any level. */
export interface Settings {
  /** false: nothing is learned, contexts are empty, there are no tools; what is stored stays. */
  readonly enabled?: boolean | null;
  /** How memory changes: automatic, agentic (by the agent's model), both, off. */
  readonly mode?: Word<typeof LearningMode> | null;
  readonly profile?: LayerSettings;
  readonly policy?: LayerSettings;
  readonly knowledge?: LayerSettings;
  readonly feedback?: LayerSettings;
  /** What a model that learns is told besides, for all layers. */
  readonly captureInstructions?: string | null;
  /** Whether models may do so; calls of `memories` are not bound. */
  readonly operations?: { readonly [name in "add" | "update" | "delete" | "clear"]?: boolean | null };
}

/** What may be set of a namespace, or of an agent in it. */
export interface ConfigSettings extends Settings {
  /** How many seconds is kept what there was, 0: for ever. Of a namespace only. */
  readonly retention?: {
    readonly runs?: number | null;
    readonly history?: number | null;
    readonly endedExtractions?: number | null;
    readonly consolidationInterval?: number | null;
  };
}

const LAYERS = ["profile", "policy", "knowledge", "feedback"] as const;

/** Return the message for settings, and the paths of all that are named. Throws TypeError for one that there is not. */
export function settingsToWire(given: ConfigSettings): { settings: MemorySettings; paths: string[] } {
  const settings = create(MemorySettingsSchema);
  const paths: string[] = [];
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const inner = INNER[name];
    if (inner === undefined) {
      if (!(name in MemorySettingsSchema.field)) throw new TypeError(`${name} is no setting`);
      paths.push(snake(name));
      if (value !== null)
        Object.assign(settings, { [name]: name === "mode" ? enumValue(LearningMode, value, name) : value });
    } else {
      const part = Object.entries(value as object).filter(([, each]) => each !== undefined);
      const entries = part.map(([key, each]) => inner.entry(key, each, `${name}.${key}`));
      const known = inner.schema.field as Record<string, unknown>;
      const unknown = entries.find(([key]) => !(key in known));
      if (unknown) throw new TypeError(`${name}.${unknown[0]} is no setting`);
      paths.push(...entries.map(([key]) => `${name}.${snake(key)}`));
      const set = Object.fromEntries(entries.filter(([, each]) => each !== null));
      Object.assign(settings, { [name]: create(inner.schema, set) });
    }
  }
  return { settings, paths };
}

/** Return the settings that a call brings, for the wire. */
export function ownSettings(given: Settings | undefined): { settings?: MemorySettings } {
  return given === undefined ? {} : { settings: settingsToWire(given).settings };
}

type Entry = readonly [name: string, value: unknown];

const layer = {
  schema: LayerSettingsSchema,
  entry: (name: string, value: unknown): Entry =>
    name === "schema" ? ["schemaJson", value === null ? null : JSON.stringify(value)] : [name, value],
};
const operations = { schema: OperationSettingsSchema, entry: (name: string, value: unknown): Entry => [name, value] };
const retention = {
  schema: RetentionSettingsSchema,
  entry: (name: string, value: unknown, where: string): readonly [string, Duration | null] => [
    name,
    value === null ? null : duration(value as number, where),
  ],
};

interface Inner {
  readonly schema: typeof LayerSettingsSchema | typeof OperationSettingsSchema | typeof RetentionSettingsSchema;
  readonly entry: (name: string, value: unknown, where: string) => Entry;
}

const INNER: Readonly<Record<string, Inner>> = {
  ...Object.fromEntries(LAYERS.map((each) => [each, layer])),
  operations,
  retention,
};

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
