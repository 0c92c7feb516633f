/** Who a handle speaks about, and on whose behalf. */
import { create } from "@bufbuild/protobuf";
import { type Scope, ScopeSchema } from "./generated/memsvc/v1/common_pb.js";

/** One user of a namespace, and the agent and team that its writes come from. */
export class Subject {
  constructor(
    readonly namespace: string,
    readonly userId: string,
    readonly agentId = "",
    readonly teamId = "",
  ) {}

  get scope(): Scope {
    return create(ScopeSchema, { namespace: this.namespace, userId: this.userId });
  }

  get origin(): { readonly agentId: string; readonly teamId: string } {
    return { agentId: this.agentId, teamId: this.teamId };
  }
}
