// Uses what was generated, so that it has to be what a client would write.
import { create } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { ScopeSchema, Layer, type Usage } from "./generated/memsvc/v1/common_pb.js";
import { ExtractionService } from "./generated/memsvc/v1/extraction_pb.js";
import { MemoryService, type Memory } from "./generated/memsvc/v1/memory_pb.js";
import { Reason } from "./generated/memsvc/v1/reason_pb.js";

const scope = create(ScopeSchema, { userId: "sarah" });

// Counts are numbers, with which + and > are right; what only identifies is a bigint.
export const tokens = (usage: Usage): number => usage.inputTokens + usage.outputTokens;
export const newer = (one: Memory, other: Memory): boolean => one.number > other.number;
export const number = (memory: Memory): bigint => memory.number;
export const refused: string | undefined = Reason[Reason.MODEL_REFUSED];

export async function learn(transport: Transport): Promise<number> {
  const memories = createClient(MemoryService, transport);
  const { revision } = await memories.createMemory({
    scope,
    memory: { text: "Skis", layer: Layer.PROFILE },
    expectedRevision: 0n,
  });
  let spent = 0;
  const source = { case: "runs" as const, value: { runIds: ["r1"] } };
  for await (const reply of createClient(ExtractionService, transport).extractMemories({ scope, source })) {
    const event = reply.event?.event;
    if (event?.case === "failed" && event.value.reason === refused) return spent;
    if (event?.case === "completed" && event.value.extraction?.usage) spent += tokens(event.value.extraction.usage);
  }
  return revision > 0n ? spent : 0;
}
