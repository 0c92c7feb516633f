package dev.memsvc.contract;

import com.google.gson.JsonObject;
import com.google.protobuf.Message;
import dev.memsvc.client.Memories;
import dev.memsvc.v1.BatchWriteOperation;
import dev.memsvc.v1.DeleteMemoryRequest;
import dev.memsvc.v1.GetMemoryRequest;
import dev.memsvc.v1.Layer;
import dev.memsvc.v1.Memory;
import dev.memsvc.v1.UpdateMemoryRequest;
import java.util.function.Consumer;

/** The contract's calls on memories, with what this client calls them. */
final class CallsOfMemories {
  private static final String[] FIELDS = {
    "valueJson",
    "topics",
    "input",
    "trust",
    "polarity",
    "metadata",
    "observeTime",
    "expireTime",
    "validFrom",
    "validTo"
  };

  private CallsOfMemories() {}

  static Object of(Memories memories, String call, JsonObject args) {
    return switch (call) {
      case "memories.add" -> named("memoryId", add(memories, args));
      case "memories.get" -> get(memories, args);
      case "memories.update" -> update(memories, args);
      case "memories.replace" ->
          memories.replace(
              Forms.text(args, "memoryId"),
              Forms.text(args, "text"),
              request -> guard(args, request));
      case "memories.upsert" -> upsert(memories, args);
      case "memories.delete" -> named("revision", delete(memories, args));
      case "memories.search" -> search(memories, args);
      case "memories.list" ->
          memories.list(
              request -> Forms.merge(args, request, "filter", "order", "pageSize", "consistency"));
      case "memories.batch" ->
          memories.batch(
              Forms.list(args, "operations", BatchWriteOperation::newBuilder).stream()
                  .map(BatchWriteOperation.Builder::build)
                  .toList(),
              request -> write(args, request));
      case "memories.clear" ->
          named(
              "clearedCount",
              memories.clear(
                  request -> {
                    write(args, request);
                    Forms.merge(args, request, "filter", "all", "purge", "validateOnly");
                  }));
      case "memories.undo" ->
          memories.restore(
              request -> {
                write(args, request);
                request.setRevertRevision(0);
                Forms.mergeAs(args, request, "revision", "revertRevision");
                Forms.merge(args, request, "validateOnly");
              });
      case "memories.restore" ->
          memories.restore(
              request -> {
                write(args, request);
                Forms.mergeAs(args, request, "revision", "toRevision");
                Forms.merge(args, request, "memoryIds", "all", "validateOnly");
              });
      default -> throw new Executor.Unsupported(call);
    };
  }

  private static String add(Memories memories, JsonObject args) {
    return memories.add(
        Forms.text(args, "text"),
        request -> {
          write(args, request);
          request.setMergeSameText(!Forms.flag(args, "duplicate", false));
          Memory.Builder memory = request.getMemoryBuilder();
          Forms.merge(args, memory, "layer", "key", "memoryId");
          fill(args, memory);
          Forms.merge(args, memory.getOriginBuilder(), "sessionId");
        });
  }

  private static Memory get(Memories memories, JsonObject args) {
    Consumer<GetMemoryRequest.Builder> options =
        request -> Forms.merge(args, request, "consistency");
    return args.has("memoryId")
        ? memories.get(Forms.text(args, "memoryId"), options)
        : memories.get(layer(args), Forms.text(args, "key"), options);
  }

  private static Memory update(Memories memories, JsonObject args) {
    JsonObject set = args.has("set") ? args.getAsJsonObject("set") : new JsonObject();
    Consumer<Memory.Builder> changes =
        memory -> {
          Forms.merge(set, memory, "text");
          fill(set, memory);
        };
    Consumer<UpdateMemoryRequest.Builder> options =
        request -> {
          guard(args, request);
          for (String cleared : Forms.texts(args, "clear")) {
            request.getUpdateMaskBuilder().addPaths(snake(cleared));
          }
        };
    return args.has("memoryId")
        ? memories.update(Forms.text(args, "memoryId"), changes, options)
        : memories.update(layer(args), Forms.text(args, "key"), changes, options);
  }

  private static Memory upsert(Memories memories, JsonObject args) {
    return memories.upsert(
        layer(args),
        Forms.text(args, "key"),
        memory -> {
          Forms.merge(args, memory, "text");
          fill(args, memory);
        },
        request -> guard(args, request));
  }

  private static long delete(Memories memories, JsonObject args) {
    Consumer<DeleteMemoryRequest.Builder> options =
        request -> {
          write(args, request);
          Forms.merge(args, request, "etag", "allowMissing", "purge");
        };
    return args.has("memoryId")
        ? memories.delete(Forms.text(args, "memoryId"), options)
        : memories.delete(layer(args), Forms.text(args, "key"), options);
  }

  private static Object search(Memories memories, JsonObject args) {
    return memories.search(
        Forms.text(args, "query"),
        request -> {
          Forms.mergeAs(args, request, "limit", "topK");
          Forms.merge(
              args, request, "method", "minScore", "filter", "sharedUserIds", "consistency");
        });
  }

  static Layer layer(JsonObject args) {
    return Layer.valueOf(Forms.text(args, "layer"));
  }

  /** What every write can be told. */
  private static void write(JsonObject args, Message.Builder request) {
    Forms.merge(args, request, "requestId", "expectedRevision");
  }

  private static void guard(JsonObject args, UpdateMemoryRequest.Builder request) {
    write(args, request);
    Forms.merge(args, request.getMemoryBuilder(), "etag");
  }

  private static void fill(JsonObject args, Memory.Builder memory) {
    Forms.merge(args, memory, FIELDS);
    if (args.has("ttlSeconds")) {
      memory.setTtl(Forms.wireSeconds(args, "ttlSeconds"));
    }
  }

  private static JsonObject named(String name, Object value) {
    JsonObject object = new JsonObject();
    object.add(name, Forms.json(value));
    return object;
  }

  private static String snake(String name) {
    return name.replaceAll("([A-Z])", "_$1").toLowerCase(java.util.Locale.ROOT);
  }
}
