package dev.memsvc.client;

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
import dev.memsvc.v1.ListMemoriesRequest;
import dev.memsvc.v1.Memory;
import dev.memsvc.v1.MemoryFilter;
import dev.memsvc.v1.MemoryServiceGrpc;
import dev.memsvc.v1.RestoreMemoriesRequest;
import dev.memsvc.v1.RestoreMemoriesResponse;
import dev.memsvc.v1.SearchMemoriesRequest;
import dev.memsvc.v1.SearchMemoriesResponse;
import dev.memsvc.v1.UpdateMemoryRequest;
import java.util.Collection;
import java.util.function.Consumer;

/**
 * One user's memories, one by one. What a call can be told besides is set on its request: {@code
 * add("Skis", of -> of.setExpectedRevision(7))}.
 */
public final class Memories {
  private final Subject subject;
  private final AsyncMemories async;

  Memories(Subject subject) {
    this.subject = subject;
    this.async = new AsyncMemories(subject);
  }

  /**
   * Remember a text, in the layer KNOWLEDGE, and return its memory_id. A text that the layer has
   * already stays one memory, and its id is returned.
   */
  public String add(String text) {
    return Connection.await(async.add(text));
  }

  /**
   * Remember a text with a layer, a key, topics: {@code add("Skis", of ->
   * of.getMemoryBuilder().addTopics("hobbies"))}. {@code setMergeSameText(false)} makes another
   * memory of a text that is there already. ALREADY_EXISTS where the id or key is taken.
   */
  public String add(String text, Consumer<CreateMemoryRequest.Builder> options) {
    return Connection.await(async.add(text, options));
  }

  /** One memory. NOT_FOUND where there is none. */
  public Memory get(String memoryId) {
    return Connection.await(async.get(memoryId));
  }

  /** One memory, as fresh as is asked for, or as it was. */
  public Memory get(String memoryId, Consumer<GetMemoryRequest.Builder> options) {
    return Connection.await(async.get(memoryId, options));
  }

  /** The memory at a key. */
  public Memory get(Layer layer, String key) {
    return Connection.await(async.get(layer, key));
  }

  /** The memory at a key, as fresh as is asked for, or as it was. */
  public Memory get(Layer layer, String key, Consumer<GetMemoryRequest.Builder> options) {
    return Connection.await(async.get(layer, key, options));
  }

  /** Change the fields that are set here, and no others. */
  public Memory update(String memoryId, Consumer<Memory.Builder> changes) {
    return Connection.await(async.update(memoryId, changes));
  }

  /**
   * The same, guarded by {@code setExpectedRevision} or the memory's etag (ABORTED where it is
   * stale). A path that is added to the update_mask and not set is cleared: {@code
   * of.getUpdateMaskBuilder().addPaths("topics")}.
   */
  public Memory update(
      String memoryId,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    return Connection.await(async.update(memoryId, changes, options));
  }

  /** Change the memory at a key. */
  public Memory update(Layer layer, String key, Consumer<Memory.Builder> changes) {
    return Connection.await(async.update(layer, key, changes));
  }

  /** Change the memory at a key. */
  public Memory update(
      Layer layer,
      String key,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    return Connection.await(async.update(layer, key, changes, options));
  }

  /** Change what a memory says. A value at its key goes with the old text. */
  public Memory replace(String memoryId, String text) {
    return Connection.await(async.replace(memoryId, text));
  }

  /** Change what a memory says. A value at its key goes with the old text. */
  public Memory replace(
      String memoryId, String text, Consumer<UpdateMemoryRequest.Builder> options) {
    return Connection.await(async.replace(memoryId, text, options));
  }

  /**
   * Set what is known at a key, and create the memory where there is none. The value is a string,
   * number, boolean, list or map, and "key: value" the text.
   */
  public Memory upsert(Layer layer, String key, Object value) {
    return Connection.await(async.upsert(layer, key, value));
  }

  /**
   * The same, with a text, topics and more. Without a text, "key: value" is the text; without a
   * value_json, the text is the value.
   */
  public Memory upsert(Layer layer, String key, Consumer<Memory.Builder> changes) {
    return Connection.await(async.upsert(layer, key, changes));
  }

  /** The same, guarded. */
  public Memory upsert(
      Layer layer,
      String key,
      Consumer<Memory.Builder> changes,
      Consumer<UpdateMemoryRequest.Builder> options) {
    return Connection.await(async.upsert(layer, key, changes, options));
  }

  /** Delete a memory, and return the user's revision. NOT_FOUND where there is none. */
  public long delete(String memoryId) {
    return Connection.await(async.delete(memoryId));
  }

  /** The same; {@code setPurge} blanks its text in the history too. */
  public long delete(String memoryId, Consumer<DeleteMemoryRequest.Builder> options) {
    return Connection.await(async.delete(memoryId, options));
  }

  /** Delete the memory at a key. */
  public long delete(Layer layer, String key) {
    return Connection.await(async.delete(layer, key));
  }

  /** Delete the memory at a key. */
  public long delete(Layer layer, String key, Consumer<DeleteMemoryRequest.Builder> options) {
    return Connection.await(async.delete(layer, key, options));
  }

  /**
   * Find the memories that fit a question best; {@code setTopK} says how many, {@code setMethod}
   * how.
   */
  public SearchMemoriesResponse search(String query) {
    return Connection.await(async.search(query));
  }

  /** Find the memories that fit a question best, among those of a filter, or of others too. */
  public SearchMemoriesResponse search(
      String query, Consumer<SearchMemoriesRequest.Builder> options) {
    return Connection.await(async.search(query, options));
  }

  /** All memories, last changed first. */
  public Pages<Memory> list() {
    return list(Requests.plain());
  }

  /** Those that match: {@code list(of -> of.getFilterBuilder().addTopicsAny("hobbies"))}. */
  public Pages<Memory> list(Consumer<ListMemoriesRequest.Builder> options) {
    ListMemoriesRequest.Builder chosen = ListMemoriesRequest.newBuilder().setScope(subject.scope());
    options.accept(chosen);
    ListMemoriesRequest request = chosen.build();
    return new Pages<>(
        token ->
            subject.page(
                MemoryServiceGrpc.getListMemoriesMethod(),
                request.toBuilder().setPageToken(token).build(),
                reply -> new Pages.Page<>(reply.getMemoriesList(), reply.getNextPageToken())));
  }

  /**
   * Write up to 1,000 {@link Operations}, all or none; each memory at most once. An error names
   * {@code operations[i]} in its fields.
   */
  public Commit batch(Collection<BatchWriteOperation> operations) {
    return Connection.await(async.batch(operations));
  }

  /** The same, guarded. */
  public Commit batch(
      Collection<BatchWriteOperation> operations,
      Consumer<BatchWriteMemoriesRequest.Builder> options) {
    return Connection.await(async.batch(operations, options));
  }

  /** Delete the memories that a filter names, and return how many. */
  public int clear(MemoryFilter filter) {
    return Connection.await(async.clear(filter));
  }

  /** Delete all memories of the user, and return how many. */
  public int clearAll() {
    return Connection.await(async.clearAll());
  }

  /** Delete what is set on the request; {@code setValidateOnly} only counts it. */
  public int clear(Consumer<ClearMemoriesRequest.Builder> options) {
    return Connection.await(async.clear(options));
  }

  /** Undo the newest revision, expirations aside; an undo is undone like any other. */
  public RestoreMemoriesResponse undo() {
    return Connection.await(async.undo());
  }

  /**
   * Undo a revision. FAILED_PRECONDITION where one of its memories was changed again later;
   * ALREADY_EXISTS where its key was taken meanwhile.
   */
  public RestoreMemoriesResponse undo(long revision) {
    return Connection.await(async.undo(revision));
  }

  /** Bring memories back to what they were at a revision; what was not there then is deleted. */
  public RestoreMemoriesResponse restore(long revision, Collection<String> memoryIds) {
    return Connection.await(async.restore(revision, memoryIds));
  }

  /** Bring all memories back to what they were at a revision; 0: before the first one. */
  public RestoreMemoriesResponse restoreAll(long revision) {
    return Connection.await(async.restoreAll(revision));
  }

  /** Undo or restore what is set on the request; {@code setValidateOnly} only says what would. */
  public RestoreMemoriesResponse restore(Consumer<RestoreMemoriesRequest.Builder> options) {
    return Connection.await(async.restore(options));
  }

  /**
   * Merge memories that say the same, and retire what is over or contradicted; {@link #undo} takes
   * it back. It is done in the background, unless {@code setWaitForConsolidation} waits for it.
   */
  public ConsolidateMemoriesResponse consolidate(
      Consumer<ConsolidateMemoriesRequest.Builder> options) {
    return Connection.await(async.consolidate(options));
  }
}
