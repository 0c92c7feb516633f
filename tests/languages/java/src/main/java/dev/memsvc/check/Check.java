package dev.memsvc.check;

import dev.memsvc.v1.CreateMemoryRequest;
import dev.memsvc.v1.ExtractMemoriesRequest;
import dev.memsvc.v1.ExtractMemoriesResponse;
import dev.memsvc.v1.ExtractionEvent;
import dev.memsvc.v1.ExtractionServiceGrpc.ExtractionServiceBlockingStub;
import dev.memsvc.v1.Layer;
import dev.memsvc.v1.Memory;
import dev.memsvc.v1.MemoryProto;
import dev.memsvc.v1.MemoryServiceGrpc.MemoryServiceBlockingStub;
import dev.memsvc.v1.Reason;
import dev.memsvc.v1.Scope;
import dev.memsvc.v1.Usage;
import java.util.Iterator;

/** Uses what was generated, so that it has to be what a client would write. */
public final class Check {
  private static final Scope SCOPE = Scope.newBuilder().setUserId("sarah").build();

  private Check() {}

  static long create(MemoryServiceBlockingStub memories) {
    Memory memory = Memory.newBuilder().setText("Skis").setLayer(Layer.LAYER_PROFILE).build();
    CreateMemoryRequest request =
        CreateMemoryRequest.newBuilder().setScope(SCOPE).setMemory(memory).setExpectedRevision(0).build();
    return request.hasExpectedRevision() ? memories.createMemory(request).getRevision() : 0;
  }

  static int learn(ExtractionServiceBlockingStub extractions) {
    int spent = 0;
    Iterator<ExtractMemoriesResponse> replies =
        extractions.extractMemories(ExtractMemoriesRequest.newBuilder().setScope(SCOPE).build());
    while (replies.hasNext()) {
      ExtractionEvent event = replies.next().getEvent();
      switch (event.getEventCase()) {
        case FAILED -> {
          if (Reason.valueOf("REASON_" + event.getFailed().getReason()) == Reason.REASON_MODEL_REFUSED) {
            return spent;
          }
        }
        case COMPLETED -> {
          Usage usage = event.getCompleted().getExtraction().getUsage();
          spent += usage.getInputTokens() + usage.getOutputTokens();
        }
        default -> {}
      }
    }
    return spent;
  }

  public static void main(String[] arguments) {
    System.out.println(MemoryProto.getDescriptor().getFullName());
  }
}
