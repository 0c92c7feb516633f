/**
 * The TypeScript client of memsvc for browsers and other places with `fetch`: over the operator's HTTP port.
 *
 *     const client = connect("https://memory.example.com", { token });
 */
import { createConnectTransport } from "@connectrpc/connect-web";
import { type ClientOptions, MemoryClient } from "./client.js";
import { retrying } from "./retries.js";

export * from "./exports.js";

/** Return a client of the server whose HTTP port is at a URL. Its `http_origins` must name the page's origin. Sends nothing. */
export function connect(url: string, options: ClientOptions = {}): MemoryClient {
  const { protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") throw new TypeError("url must begin with http:// or https://");
  const ending = new AbortController();
  const fetching: typeof fetch = (input, init) => {
    const signal = init?.signal ? AbortSignal.any([init.signal, ending.signal]) : ending.signal;
    return fetch(input, { ...init, signal });
  };
  const interceptors = [retrying(options.waitForReady ?? false)];
  const transport = createConnectTransport({ baseUrl: url.replace(/\/+$/, ""), interceptors, fetch: fetching });
  return new MemoryClient(transport, options, () => ending.abort());
}
