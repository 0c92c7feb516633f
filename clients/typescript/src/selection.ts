/** Which memories a read is about, and how fresh it must be. */
import { create } from "@bufbuild/protobuf";
import {
  type Consistency as ConsistencyMessage,
  ConsistencySchema,
  Layer,
  type MemoryFilter as MemoryFilterMessage,
  MemoryFilterSchema,
  Polarity,
  TimeRangeSchema,
  Trust,
} from "./generated/memsvc/v1/common_pb.js";
import { duration, type TimeLike, timestamp } from "./time.js";
import { enumValues, type Word } from "./words.js";

/** From, and before; undefined: no bound. */
export interface TimeRange {
  readonly start?: TimeLike | undefined;
  readonly end?: TimeLike | undefined;
}

/** Which memories are meant. Fields are combined with AND, values of one field with OR. Empty: all. */
export interface MemoryFilter {
  readonly layers?: readonly Word<typeof Layer>[];
  /** With at least one of these topics (case ignored). */
  readonly topicsAny?: readonly string[];
  readonly topicsAll?: readonly string[];
  /** With this key, or one below it: "stack" means stack and stack.languages. */
  readonly keyPath?: string;
  /** Whose text contains this (case and accents ignored). */
  readonly textContains?: string;
  readonly agentIds?: readonly string[];
  readonly teamIds?: readonly string[];
  readonly sessionIds?: readonly string[];
  readonly trusts?: readonly Word<typeof Trust>[];
  readonly polarities?: readonly Word<typeof Polarity>[];
  /** Found by one of these engines; "" means written directly. */
  readonly engines?: readonly string[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly createTime?: TimeRange;
  readonly updateTime?: TimeRange;
  readonly observeTime?: TimeRange;
  readonly memoryIds?: readonly string[];
  readonly configBefore?: bigint;
  /** What was so then, in the world: with the facts of the past that held, in place of what took theirs. */
  readonly validAt?: TimeLike;
  /** Facts of the past too. */
  readonly includeSuperseded?: boolean;
}

/** How fresh a read must be; exactly one of these. Without it a read sees everything acknowledged before. */
export interface Consistency {
  /** Answered from RAM where that suffices, also while the database is down. */
  readonly atLeastRevision?: bigint;
  readonly maxStalenessSeconds?: number;
  /** The memories as they were when this revision was made. */
  readonly asOfRevision?: bigint;
  /** The memories as they were then. */
  readonly asOfTime?: TimeLike;
}

const FIELDS: ReadonlySet<string> = new Set(MemoryFilterSchema.fields.map((each) => each.localName));

/** Return a filter for the wire. Throws TypeError for a field that there is not: it would mean more than was asked. */
export function filterToWire(given: MemoryFilter | undefined): { filter?: MemoryFilterMessage } {
  if (given === undefined) return {};
  const unknown = Object.keys(given).filter((each) => !FIELDS.has(each));
  if (unknown.length)
    throw new TypeError(`filter has no field ${unknown.join(", ")}: one of ${[...FIELDS].join(", ")}`);
  const { layers, trusts, polarities, createTime, updateTime, observeTime, validAt, ...rest } = given;
  const filter = create(MemoryFilterSchema, {
    ...copied(rest),
    layers: enumValues(Layer, layers, "filter.layers"),
    trusts: enumValues(Trust, trusts, "filter.trusts"),
    polarities: enumValues(Polarity, polarities, "filter.polarities"),
    ...(createTime && { createTime: range(createTime, "filter.createTime") }),
    ...(updateTime && { updateTime: range(updateTime, "filter.updateTime") }),
    ...(observeTime && { observeTime: range(observeTime, "filter.observeTime") }),
    ...(validAt === undefined ? {} : { validAt: timestamp(validAt, "filter.validAt") }),
  });
  return { filter };
}

/** Return how fresh a read must be, for the wire. */
export function consistencyToWire(given: Consistency | undefined): { consistency?: ConsistencyMessage } {
  if (given === undefined) return {};
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  if (named.length !== 1) throw new TypeError("consistency is exactly one of its fields");
  const { atLeastRevision, maxStalenessSeconds, asOfRevision, asOfTime } = given;
  const requirement: ConsistencyMessage["requirement"] =
    atLeastRevision !== undefined
      ? { case: "atLeastRevision", value: atLeastRevision }
      : maxStalenessSeconds !== undefined
        ? { case: "maxStaleness", value: duration(maxStalenessSeconds, "maxStalenessSeconds") }
        : asOfRevision !== undefined
          ? { case: "asOfRevision", value: asOfRevision }
          : asOfTime !== undefined
            ? { case: "asOfTime", value: timestamp(asOfTime, "asOfTime") }
            : { case: undefined };
  if (requirement.case === undefined) throw new TypeError(`consistency has no ${named[0]?.[0]}`);
  return { consistency: create(ConsistencySchema, { requirement }) };
}

/** Return a range of times for the wire. */
export function range(given: TimeRange, name: string) {
  return create(TimeRangeSchema, {
    ...(given.start === undefined ? {} : { startTime: timestamp(given.start, `${name}.start`) }),
    ...(given.end === undefined ? {} : { endTime: timestamp(given.end, `${name}.end`) }),
  });
}

/** Return the fields that are given, with lists of their own: a message keeps the lists that it is made of. */
function copied<T extends object>(
  given: T,
): { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] | undefined ? E[] : T[K] } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Array.isArray(value) ? [...value] : value]),
  ) as ReturnType<typeof copied<T>>;
}
