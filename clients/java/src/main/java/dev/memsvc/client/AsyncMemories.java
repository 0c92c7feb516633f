package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.BatchWriteMemoriesRequest;
import dev.memsvc.v1.BatchWriteOperation;
import dev.memsvc.v1.ClearMemoriesRequest;
import dev.memsvc.v1.Commit;
import dev.memsvc.v1.ConsolidateMemoriesRequest;
import dev.memsvc.v1.ConsolidateMemoriesResponse;
import dev.memsvc.v1.CreateMemoryRequest;
import dev.memsvc.v1.DeleteMemoryRequest;
import dev.memsvc.v1.GetMemoryRequest;
import dev.memsvc.v1.Layer;
import dev.memsvc.v1.Memory;
import dev.memsvc.v1.MemoryFilter;
import dev.memsvc.v1.MemoryServiceGrpc;
import dev.memsvc.v1.RestoreMemoriesRequest;
import dev.memsvc.v1.RestoreMemoriesResponse;
import dev.memsvc.v1.SearchMemoriesRequest;
import dev.memsvc.v1.SearchMemoriesResponse;
import dev.memsvc.v1.UpdateMemoryRequest;
import dev.memsvc.v1.UpdateMemoryResponse;
import java.util.Collection;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** The calls of {@link Memories}, each answered by a future. Cancelling it cancels the call. */
public final class AsyncMemories {
  private final Subject subject;

  AsyncMemories(Subject subject) {
    this.subject = subject;
  }

  /** As {@link Memories#add(String)}. */
  public CompletableFuture<String> add(String text) {
    return add(text, Requests.plain());
  }

  /** As {@link Memories#add(String, Consumer)}. */
  public CompletableFuture<String> add(String text, Consumer<CreateMemoryRequest.Builder> options) {
    CreateMemoryRequest.Builder request =
        CreateMemoryRequest.newBuilder()
            .setScope(subject.scope())
            .setMemory(Memory.newBuilder().setText(text).setOrigin(subject.origin()))
            .setRequestId(Requests.newId())
            .setMergeSameText(true);
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getCreateMemoryMethod(),
        request.build(),
        reply -> reply.getMemory().getMemoryId());
  }

  /** As {@link Memories#get(String)}. */
  public CompletableFuture<Memory> get(String memoryId) {
    return get(memoryId, Requests.plain());
  }

  /** As {@link Memories#get(String, Consumer)}. */
  public CompletableFuture<Memory> get(
      String memoryId, Consumer<GetMemoryRequest.Builder> options) {
    return get(
        GetMemoryRequest.newBuilder().setMemoryId(Requests.named("memoryId", memoryId)), options);
  }

  /** As {@link Memories#get(Layer, String)}. */
  public CompletableFuture<Memory> get(Layer layer, String key) {
    return get(layer, key, Requests.plain());
  }

  /** As {@link Memories#get(Layer, String, Consumer)}. */
  public CompletableFuture<Memory> get(
      Layer layer, String key, Consumer<GetMemoryRequest.Builder> options) {
    return get(GetMemoryRequest.newBuilder().setAddress(Requests.address(layer, key)), options);
  }

  private CompletableFuture<Memory> get(
      GetMemoryRequest.Builder request, Consumer<GetMemoryRequest.Builder> options) {
    request.setScope(subject.scope());
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getGetMemoryMethod(), request.build(), reply -> reply.getMemory());
  }

  /** As {@link Memories#update(String, Consumer)}. */
  public CompletableFuture<Memory> update(String memoryId, Consumer<Memory.Builder> changes) {
    return update(memoryId, changes, Requests.plain());
  }

  /** As {@link Memories#update(String, Consumer, Consumer)}. */
  public CompletableFuture<Memory> update(
      String memoryId,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    return update(
        Memory.newBuilder().setMemoryId(Requests.named("memoryId", memoryId)), changes, options);
  }

  /** As {@link Memories#update(Layer, String, Consumer)}. */
  public CompletableFuture<Memory> update(
      Layer layer, String key, Consumer<Memory.Builder> changes) {
    return update(layer, key, changes, Requests.plain());
  }

  /** As {@link Memories#update(Layer, String, Consumer, Consumer)}. */
  public CompletableFuture<Memory> update(
      Layer layer,
      String key,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    return update(
        Memory.newBuilder().setLayer(layer).setKey(Requests.named("key", key)), changes, options);
  }

  /** As {@link Memories#replace(String, String)}. */
  public CompletableFuture<Memory> replace(String memoryId, String text) {
    return replace(memoryId, text, Requests.plain());
  }

  /** As {@link Memories#replace(String, String, Consumer)}. */
  public CompletableFuture<Memory> replace(
      String memoryId, String text, Consumer<UpdateMemoryRequest.Builder> options) {
    return update(
        memoryId,
        memory -> memory.setText(text),
        request -> {
          // A text that was emptied is the server's to refuse.
          request.getUpdateMaskBuilder().clear().addPaths("text").addPaths("value_json");
          options.accept(request);
        });
  }

  /** As {@link Memories#upsert(Layer, String, Object)}. */
  public CompletableFuture<Memory> upsert(Layer layer, String key, Object value) {
    if (value == null) {
      throw new IllegalArgumentException("upsert needs a value or a text");
    }
    return upsert(layer, key, memory -> memory.setValueJson(Json.of(value)));
  }

  /** As {@link Memories#upsert(Layer, String, Consumer)}. */
  public CompletableFuture<Memory> upsert(
      Layer layer, String key, Consumer<Memory.Builder> changes) {
    return upsert(layer, key, changes, Requests.plain());
  }

  /** As {@link Memories#upsert(Layer, String, Consumer, Consumer)}. */
  public CompletableFuture<Memory> upsert(
      Layer layer,
      String key,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    return update(
        layer,
        key,
        memory -> {
          changes.accept(memory);
          if (memory.getText().isEmpty()) {
            if (memory.getValueJson().isEmpty()) {
              throw new IllegalArgumentException("upsert needs a value or a text");
            }
            String spoken = Json.spoken(Json.parse("value_json", memory.getValueJson()));
            memory.setText(key + ": " + spoken);
          }
          memory.setOrigin(subject.origin());
        },
        request -> {
          request.setAllowMissing(true);
          if (request.getMemory().getValueJson().isEmpty()) {
            // Without a value, the text is the value.
            request.getUpdateMaskBuilder().addPaths("value_json");
          }
          options.accept(request);
        });
  }

  private CompletableFuture<Memory> update(
      Memory.Builder memory,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    changes.accept(memory);
    UpdateMemoryRequest.Builder request =
        UpdateMemoryRequest.newBuilder()
            .setScope(subject.scope())
            .setMemory(memory)
            .setRequestId(Requests.newId());
    request.getUpdateMaskBuilder().addAllPaths(Requests.memoryPaths(memory));
    options.accept(request);
    if (request.getUpdateMask().getPathsCount() == 0) {
      throw new IllegalArgumentException("nothing to update: set at least one field");
    }
    return subject.send(
        MemoryServiceGrpc.getUpdateMemoryMethod(),
        request.build(),
        UpdateMemoryResponse::getMemory);
  }

  /** As {@link Memories#delete(String)}. */
  public CompletableFuture<Long> delete(String memoryId) {
    return delete(memoryId, Requests.plain());
  }

  /** As {@link Memories#delete(String, Consumer)}. */
  public CompletableFuture<Long> delete(
      String memoryId, Consumer<DeleteMemoryRequest.Builder> options) {
    return delete(
        DeleteMemoryRequest.newBuilder().setMemoryId(Requests.named("memoryId", memoryId)),
        options);
  }

  /** As {@link Memories#delete(Layer, String)}. */
  public CompletableFuture<Long> delete(Layer layer, String key) {
    return delete(layer, key, Requests.plain());
  }

  /** As {@link Memories#delete(Layer, String, Consumer)}. */
  public CompletableFuture<Long> delete(
      Layer layer, String key, Consumer<DeleteMemoryRequest.Builder> options) {
    return delete(
        DeleteMemoryRequest.newBuilder().setAddress(Requests.address(layer, key)), options);
  }

  private CompletableFuture<Long> delete(
      DeleteMemoryRequest.Builder request, Consumer<DeleteMemoryRequest.Builder> options) {
    request.setScope(subject.scope()).setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getDeleteMemoryMethod(), request.build(), reply -> reply.getRevision());
  }

  /** As {@link Memories#batch(Collection)}. */
  public CompletableFuture<Commit> batch(Collection<BatchWriteOperation> operations) {
    return batch(operations, Requests.plain());
  }

  /** As {@link Memories#batch(Collection, Consumer)}. */
  public CompletableFuture<Commit> batch(
      Collection<BatchWriteOperation> operations,
      Consumer<BatchWriteMemoriesRequest.Builder> options) {
    BatchWriteMemoriesRequest.Builder request =
        BatchWriteMemoriesRequest.newBuilder()
            .setScope(subject.scope())
            .setRequestId(Requests.newId());
    operations.forEach(operation -> request.addOperations(Operations.of(operation, subject)));
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getBatchWriteMemoriesMethod(),
        request.build(),
        reply -> reply.getCommit());
  }

  /** As {@link Memories#clear(MemoryFilter)}. */
  public CompletableFuture<Integer> clear(MemoryFilter filter) {
    if (filter.equals(MemoryFilter.getDefaultInstance())) {
      throw new IllegalArgumentException("the filter is empty: clearAll() deletes all memories");
    }
    return clear(request -> request.setFilter(filter));
  }

  /** As {@link Memories#clearAll()}. */
  public CompletableFuture<Integer> clearAll() {
    return clear(request -> request.setAll(true));
  }

  /** As {@link Memories#clear(Consumer)}. */
  public CompletableFuture<Integer> clear(Consumer<ClearMemoriesRequest.Builder> options) {
    ClearMemoriesRequest.Builder request =
        ClearMemoriesRequest.newBuilder().setScope(subject.scope()).setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getClearMemoriesMethod(),
        request.build(),
        reply -> reply.getClearedCount());
  }

  /** As {@link Memories#undo()}. */
  public CompletableFuture<RestoreMemoriesResponse> undo() {
    return restore(request -> request.setRevertRevision(0));
  }

  /** As {@link Memories#undo(long)}. */
  public CompletableFuture<RestoreMemoriesResponse> undo(long revision) {
    if (revision < 1) {
      throw new IllegalArgumentException("revision must be at least 1, not " + revision);
    }
    return restore(request -> request.setRevertRevision(revision));
  }

  /** As {@link Memories#restore(long, Collection)}. */
  public CompletableFuture<RestoreMemoriesResponse> restore(
      long revision, Collection<String> memoryIds) {
    if (memoryIds.isEmpty()) {
      throw new IllegalArgumentException("restore takes memoryIds; restoreAll brings back all");
    }
    return restore(request -> request.setToRevision(revision).addAllMemoryIds(memoryIds));
  }

  /** As {@link Memories#restoreAll(long)}. */
  public CompletableFuture<RestoreMemoriesResponse> restoreAll(long revision) {
    return restore(request -> request.setToRevision(revision).setAll(true));
  }

  /** As {@link Memories#restore(Consumer)}. */
  public CompletableFuture<RestoreMemoriesResponse> restore(
      Consumer<RestoreMemoriesRequest.Builder> options) {
    RestoreMemoriesRequest.Builder request =
        RestoreMemoriesRequest.newBuilder()
            .setScope(subject.scope())
            .setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getRestoreMemoriesMethod(), request.build(), reply -> reply);
  }

  /** As {@link Memories#search(String)}. */
  public CompletableFuture<SearchMemoriesResponse> search(String query) {
    return search(query, Requests.plain());
  }

  /** As {@link Memories#search(String, Consumer)}. */
  public CompletableFuture<SearchMemoriesResponse> search(
      String query, Consumer<SearchMemoriesRequest.Builder> options) {
    SearchMemoriesRequest.Builder request =
        SearchMemoriesRequest.newBuilder().setScope(subject.scope()).setQuery(query);
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getSearchMemoriesMethod(), request.build(), reply -> reply);
  }

  /** As {@link Memories#consolidate(Consumer)}. */
  public CompletableFuture<ConsolidateMemoriesResponse> consolidate(
      Consumer<ConsolidateMemoriesRequest.Builder> options) {
    ConsolidateMemoriesRequest.Builder request =
        ConsolidateMemoriesRequest.newBuilder()
            .setScope(subject.scope())
            .setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(
        AdminServiceGrpc.getConsolidateMemoriesMethod(),
        request.build(),
        Requests.duration(request.getWaitForConsolidation()),
        reply -> reply);
  }
}
