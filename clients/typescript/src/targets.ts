/** Where a server may be: what `connect(target)` takes, and what to write instead of what it does not take. */

const FORMS = '"unix:///run/memsvc/memsvc.sock", "127.0.0.1:7432" or "tls://memory.example.com:7432"';

/** An address, as connections are made to it. */
export type Target =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp" | "tls"; readonly authority: string };

/** Return what a target says. Throws TypeError that says what to write instead; it never shows what it refuses. */
export function parseTarget(target: string): Target {
  if (typeof target !== "string" || !target) throw new TypeError(`target is empty: write ${FORMS}`);
  if (target.startsWith("unix:")) {
    const path = /^unix:(?:\/\/)?(\/[^/].*)$/.exec(target)?.[1];
    if (path === undefined) throw new TypeError(`target names no absolute path: write ${FORMS}`);
    return { kind: "socket", path };
  }
  const [kind, authority] = target.startsWith("tls://")
    ? (["tls", target.slice(6)] as const)
    : (["tcp", target] as const);
  const found = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(authority);
  const port = Number(found?.[2]);
  if (!found || port < 1 || port > 65_535) throw new TypeError(`target is no address: write ${FORMS}`);
  return { kind, authority };
}
