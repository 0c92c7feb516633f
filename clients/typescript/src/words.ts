/** Values of enums by their words, `"profile"` for `Layer.PROFILE`; and the ids that requests have. */

type Names<E> = Exclude<keyof E & string, "UNSPECIFIED">;

/** A value of an enum, or its word: `Layer.PROFILE` or `"profile"`. */
export type Word<E> = E[keyof E] | Lowercase<Names<E>>;

/** Return the value of an enum; undefined is 0, UNSPECIFIED. Throws RangeError where there is no such word. */
export function enumValue<E extends Record<string, string | number>>(
  kind: E,
  given: Word<E> | undefined,
  name: string,
): E[keyof E] {
  if (given === undefined) return 0 as E[keyof E];
  if (typeof given === "number") return given as E[keyof E];
  const value = kind[String(given).toUpperCase()];
  if (typeof value === "number" && value !== 0) return value as E[keyof E];
  const words = Object.keys(kind).filter((each) => Number.isNaN(Number(each)) && each !== "UNSPECIFIED");
  throw new RangeError(`${name}: ${given} is none of ${words.map((each) => each.toLowerCase()).join(", ")}`);
}

/** Return the values of enums. */
export function enumValues<E extends Record<string, string | number>>(
  kind: E,
  given: readonly Word<E>[] | undefined,
  name: string,
): E[keyof E][] {
  return (given ?? []).map((each, index) => enumValue(kind, each, `${name}[${index}]`));
}

/** Return the caller's request id, or a new one. (`crypto.randomUUID` is not there on pages without TLS.) */
export function requestId(given: string | undefined): string {
  if (given) return given;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const [version, variant] = [bytes[6] ?? 0, bytes[8] ?? 0];
  bytes[6] = (version & 0x0f) | 0x40;
  bytes[8] = (variant & 0x3f) | 0x80;
  const hex = Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
