/**
 * The TypeScript client of memsvc, a memory service for AI agents: for Node, over gRPC.
 *
 *     const client = connect("unix:///run/memsvc/memsvc.sock");
 *     const sarah = client.user("sarah", { agentId: "support" });
 *     const { text } = await sarah.context({ query: "How do I clean data?" });
 */
import { readFileSync } from "node:fs";
import type { ClientSessionOptions, SecureClientSessionOptions } from "node:http2";
import { connect as dial } from "node:net";
import { toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type ClientOptions, MemoryClient } from "./client.js";
import { retrying } from "./retries.js";
import { parseTarget, type Target } from "./targets.js";

export * from "./exports.js";

const KEEPALIVE_MS = 60_000;
/** Replies end before 3 MiB; what is larger is no reply of memsvc. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
/** Of a larger request a server reads no more, and Node would let all calls of the connection wait for it to be sent. */
const MAX_REQUEST_BYTES = 8 * 1024 * 1024;

/** How a client reaches its server. What is not given, the environment may say: MEMSVC_TOKEN, MEMSVC_CA_FILE, … */
export interface ConnectOptions extends ClientOptions {
  /** PEM file of those who sign servers' certificates; default: MEMSVC_CA_FILE, else those that Node trusts. */
  readonly caFile?: string | undefined;
  /** PEM file of the client's own certificate; default: MEMSVC_CLIENT_CERTIFICATE_FILE, else it shows none. */
  readonly certificateFile?: string | undefined;
  /** PEM file of its key; default: MEMSVC_CLIENT_KEY_FILE. */
  readonly keyFile?: string | undefined;
}

/** Return a client of the server at `unix:///path`, `host:port`, or `tls://host:port` where it speaks TLS. Sends nothing. */
export function connect(target: string, options: ConnectOptions = {}): MemoryClient {
  const where = parseTarget(target);
  const baseUrl = `${where.kind === "tls" ? "https" : "http"}://${where.kind === "socket" ? "localhost" : where.authority}`;
  const keepalive = where.kind === "socket" ? {} : { pingIntervalMs: KEEPALIVE_MS };
  const sessionManager = new Http2SessionManager(baseUrl, keepalive, sessionOptions(where, options));
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    readMaxBytes: MAX_MESSAGE_BYTES,
    interceptors: [refusingLarge, retrying(options.waitForReady ?? false)],
  });
  const token = options.token ?? (process.env["MEMSVC_TOKEN"] || undefined);
  return new MemoryClient(transport, { ...options, token }, () => sessionManager.abort());
}

/** Refuses what no server takes before its stream is opened: `writeMaxBytes` of connect would leave that open. */
const refusingLarge: Interceptor = (next) => async (request) => {
  if (!request.stream && toBinary(request.method.input, request.message).length > MAX_REQUEST_BYTES) {
    throw new ConnectError("request is larger than 8 MiB", Code.ResourceExhausted);
  }
  return next(request);
};

function sessionOptions(where: Target, options: ConnectOptions): ClientSessionOptions | SecureClientSessionOptions {
  if (where.kind === "socket") return { createConnection: () => dial(where.path) };
  if (where.kind === "tcp") return {};
  const ca = read("caFile", options.caFile, "MEMSVC_CA_FILE");
  const cert = read("certificateFile", options.certificateFile, "MEMSVC_CLIENT_CERTIFICATE_FILE");
  const key = read("keyFile", options.keyFile, "MEMSVC_CLIENT_KEY_FILE");
  if ((cert === undefined) !== (key === undefined)) {
    throw new TypeError("certificateFile and keyFile go together: one of them is missing");
  }
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

function read(name: string, path: string | undefined, variable: string): Buffer | undefined {
  const chosen = path ?? process.env[variable];
  if (!chosen) return undefined;
  try {
    return readFileSync(chosen);
  } catch (error) {
    throw new TypeError(`${name}: cannot read ${chosen}: ${(error as NodeJS.ErrnoException).code}`);
  }
}
