/** Times between JavaScript and protobuf, and waiting. */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";

/** A moment: a Date, ISO 8601 with a time zone, or a protobuf Timestamp. */
export type TimeLike = Date | string | Timestamp;

/** Return a moment for the wire. Throws RangeError for what is none. */
export function timestamp(given: TimeLike, name: string): Timestamp {
  if (typeof given === "object" && "$typeName" in given) return given;
  const date = new Date(given);
  if (Number.isNaN(date.getTime()))
    throw new RangeError(`${name} must be a time as 2026-05-01T18:30:00Z, not ${given}`);
  return timestampFromDate(date);
}

/** Return a length of time for the wire. Throws RangeError for what is none. */
export function duration(seconds: number, name: string): Duration {
  if (!(seconds >= 0) || !Number.isFinite(seconds)) throw new RangeError(`${name} must be seconds, not ${seconds}`);
  const whole = Math.floor(seconds);
  return create(DurationSchema, { seconds: BigInt(whole), nanos: Math.round((seconds - whole) * 1e9) });
}

/** Wait; return at once when the signal is aborted. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal?.addEventListener("abort", done);
  });
}
