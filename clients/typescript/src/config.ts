/** What is configured of memory: of the client's namespace, and of agents in it. */
import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import type { Connection, WriteOptions } from "./connection.js";
import {
  ConfigService,
  type GetMemoryConfigResponse,
  type UpdateMemoryConfigResponse,
} from "./generated/memsvc/v1/config_pb.js";
import type { ReadOptions } from "./memories.js";
import { consistencyToWire } from "./selection.js";
import { type ConfigSettings, settingsToWire } from "./settings.js";
import { requestId } from "./words.js";

const methods = ConfigService.method;

export class Config {
  constructor(
    private readonly connection: Connection,
    private readonly namespace: string,
  ) {}

  /** Get what is configured, and with `inForce` what holds with it: of the agent, the namespace and the server. */
  get(options: ReadOptions & { readonly agentId?: string } = {}): Promise<GetMemoryConfigResponse> {
    const { namespace } = this;
    const request = { namespace, agentId: options.agentId ?? "", ...consistencyToWire(options.consistency) };
    return this.connection.call(methods.getMemoryConfig, request, options);
  }

  /**
   * Set what is named; null clears it: `update({ mode: "both", policy: { prompt: null } })`. It holds from the next call
   * on. Rejects with Aborted where `etag` is no longer the configuration's.
   */
  update(
    settings: ConfigSettings,
    options: WriteOptions & { readonly agentId?: string; readonly etag?: string; readonly validateOnly?: boolean } = {},
  ): Promise<UpdateMemoryConfigResponse> {
    const written = settingsToWire(settings);
    if (!written.paths.length) throw new TypeError("nothing is named to be set");
    const request = {
      namespace: this.namespace,
      agentId: options.agentId ?? "",
      settings: written.settings,
      updateMask: create(FieldMaskSchema, { paths: written.paths }),
      etag: options.etag ?? "",
      validateOnly: options.validateOnly ?? false,
      requestId: requestId(options.requestId),
    };
    return this.connection.call(methods.updateMemoryConfig, request, options);
  }
}
