/** The client of memsvc, over any transport of connect. `connect` of "memsvc" and of "memsvc/web" make one. */
import type { Transport } from "@connectrpc/connect";
import { Config } from "./config.js";
import { type CallOptions, Connection, type Manner } from "./connection.js";
import { AdminService, type GetServerInfoResponse } from "./generated/memsvc/v1/admin_pb.js";
import type { Listing } from "./listing.js";
import { Subject } from "./subject.js";
import { User } from "./user.js";

/** How a client calls, and on whose behalf. */
export interface ClientOptions {
  /** The tenant or application; default: the token's only one, else "default". */
  readonly namespace?: string | undefined;
  /** Sent with every call. */
  readonly token?: string | undefined;
  /** The deadline of a call that names none: 10. */
  readonly timeoutSeconds?: number | undefined;
  /** The deadline of `context`, for which a user waits: 3. */
  readonly contextTimeoutSeconds?: number | undefined;
  /** `context` answers an empty context where the service is down, instead of rejecting. */
  readonly contextOrEmpty?: boolean | undefined;
  /** A call looks for a server until its deadline: a restart is waited for. Else it is tried five times, in two seconds. */
  readonly waitForReady?: boolean | undefined;
}

/** A connection to a memory service; close it when done. */
export class MemoryClient {
  /** What is configured of memory. */
  readonly config: Config;
  private readonly connection: Connection;
  private readonly namespace: string;

  /** `connect` makes the transport, with its retries, as well. */
  constructor(transport: Transport, options: ClientOptions = {}, end?: () => void) {
    this.namespace = options.namespace ?? "";
    this.connection = new Connection(transport, mannerOf(options), end);
    this.config = new Config(this.connection, this.namespace);
  }

  /** Return the handle of one user; sends nothing. `agentId` and `teamId` are the origin of what it writes. */
  user(
    userId: string,
    options: { readonly agentId?: string | undefined; readonly teamId?: string | undefined } = {},
  ): User {
    if (typeof userId !== "string" || !userId) throw new TypeError("no user: name one");
    return new User(this.connection, new Subject(this.namespace, userId, options.agentId, options.teamId));
  }

  /** List the ids of all users of the client's namespace. */
  users(options: CallOptions = {}): Listing<string> {
    const request = { namespace: this.namespace };
    return this.connection.pages(AdminService.method.listUsers, request, (reply) => reply.userIds, options);
  }

  /** Ask the server what it is and offers. */
  serverInfo(options: CallOptions = {}): Promise<GetServerInfoResponse> {
    return this.connection.call(AdminService.method.getServerInfo, {}, options);
  }

  /** Close the connection, and end what is under way. */
  close(): void {
    this.connection.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function mannerOf(options: ClientOptions): Manner {
  const { timeoutSeconds = 10, contextTimeoutSeconds = 3, contextOrEmpty = false, token } = options;
  for (const [name, seconds] of Object.entries({ timeoutSeconds, contextTimeoutSeconds })) {
    if (!(seconds > 0)) throw new RangeError(`${name} must be more than 0`);
  }
  if (token !== undefined && !/^[\x20-\x7e]*$/.test(token)) {
    throw new TypeError("token must be printable ASCII: has it a line's end?");
  }
  return { timeoutSeconds, contextTimeoutSeconds, contextOrEmpty, token };
}
