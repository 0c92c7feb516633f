package dev.memsvc.client;

import dev.memsvc.v1.BatchWriteOperation;
import dev.memsvc.v1.CreateOperation;
import dev.memsvc.v1.DeleteOperation;
import dev.memsvc.v1.Layer;
import dev.memsvc.v1.Memory;
import dev.memsvc.v1.UpdateOperation;
import java.util.function.Consumer;

/** The writes of a batch, as one writes them. */
public final class Operations {
  private Operations() {}

  /** Create a memory. */
  public static BatchWriteOperation create(String text) {
    return create(memory -> memory.setText(text));
  }

  /** Create a memory. */
  public static BatchWriteOperation create(Consumer<Memory.Builder> fields) {
    Memory.Builder memory = Memory.newBuilder();
    fields.accept(memory);
    return BatchWriteOperation.newBuilder()
        .setCreate(CreateOperation.newBuilder().setMemory(memory))
        .build();
  }

  /** Change the fields of a memory that are set. */
  public static BatchWriteOperation update(String memoryId, Consumer<Memory.Builder> changes) {
    return update(Memory.newBuilder().setMemoryId(Requests.named("memoryId", memoryId)), changes);
  }

  /** Change the fields that are set of the memory at a key. */
  public static BatchWriteOperation update(
      Layer layer, String key, Consumer<Memory.Builder> changes) {
    return update(Memory.newBuilder().setLayer(layer).setKey(Requests.named("key", key)), changes);
  }

  private static BatchWriteOperation update(
      Memory.Builder memory, Consumer<Memory.Builder> changes) {
    changes.accept(memory);
    UpdateOperation.Builder update = UpdateOperation.newBuilder().setMemory(memory);
    update.getUpdateMaskBuilder().addAllPaths(Requests.memoryPaths(memory));
    if (update.getUpdateMask().getPathsCount() == 0) {
      throw new IllegalArgumentException("nothing to update: set at least one field");
    }
    return BatchWriteOperation.newBuilder().setUpdate(update).build();
  }

  /** Delete a memory. */
  public static BatchWriteOperation delete(String memoryId) {
    return BatchWriteOperation.newBuilder()
        .setDelete(DeleteOperation.newBuilder().setMemoryId(Requests.named("memoryId", memoryId)))
        .build();
  }

  /** Delete the memory at a key. */
  public static BatchWriteOperation delete(Layer layer, String key) {
    return BatchWriteOperation.newBuilder()
        .setDelete(DeleteOperation.newBuilder().setAddress(Requests.address(layer, key)))
        .build();
  }

  /** An operation of a subject: what it creates, or may create, comes from its agent and team. */
  static BatchWriteOperation of(BatchWriteOperation operation, Subject subject) {
    BatchWriteOperation.Builder own = operation.toBuilder();
    if (own.hasCreate()) {
      origin(own.getCreateBuilder().getMemoryBuilder(), subject);
    } else if (own.getUpdate().getAllowMissing()) {
      origin(own.getUpdateBuilder().getMemoryBuilder(), subject);
    }
    return own.build();
  }

  private static void origin(Memory.Builder memory, Subject subject) {
    memory.getOriginBuilder().setAgentId(subject.agentId()).setTeamId(subject.teamId());
  }
}
