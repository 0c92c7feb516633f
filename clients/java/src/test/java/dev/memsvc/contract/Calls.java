package dev.memsvc.contract;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.FieldMask;
import com.google.protobuf.util.FieldMaskUtil;
import dev.memsvc.client.Config;
import dev.memsvc.client.Extractions;
import dev.memsvc.client.Messages;
import dev.memsvc.client.User;
import dev.memsvc.v1.ExtractMemoriesRequest;
import dev.memsvc.v1.Message;
import dev.memsvc.v1.RetryExtractionsResponse;
import dev.memsvc.v1.Tool;
import java.util.List;
import java.util.function.Consumer;

/** The contract's calls on a user and on the configuration, with what this client calls them. */
final class Calls {
  private Calls() {}

  static Object ofConfig(Config config, String call, JsonObject args) {
    if (call.equals("config.get")) {
      return config.get(request -> Forms.merge(args, request, "agentId", "consistency"));
    }
    return config.update(
        settings -> {
          if (args.has("settings")) {
            Forms.merge(args.get("settings"), settings);
          }
        },
        request -> {
          Forms.merge(args, request, "agentId", "etag", "validateOnly", "requestId");
          FieldMask mask = FieldMaskUtil.fromJsonString(Forms.text(args, "updateMask"));
          request.setUpdateMask(mask);
        });
  }

  static Object of(User user, String call, JsonObject args) {
    return switch (call) {
      case "topics" -> user.topics(request -> Forms.merge(args, request, "filter"));
      case "changes" ->
          args.has("memoryId")
              ? user.changes(Forms.text(args, "memoryId"))
              : args.has("key")
                  ? user.changes(CallsOfMemories.layer(args), Forms.text(args, "key"))
                  : user.changes();
      case "watch" ->
          user.watch(request -> Forms.merge(args, request, "filter", "sendInitial", "resumeToken"));
      case "get" -> user.document(request -> Forms.merge(args, request, "layers", "consistency"));
      case "context" -> context(user, args);
      case "appendRun" -> appendRun(user, args);
      case "history" ->
          user.history(
              Forms.text(args, "sessionId"),
              request -> Forms.merge(args, request, "lastRuns", "roles"));
      case "searchHistory" -> searchHistory(user, args);
      case "runs" ->
          user.runs(
              request -> Forms.merge(args, request, "sessionId", "descending", "includeReplaced"));
      case "session" -> user.session(Forms.text(args, "sessionId"));
      case "sessions" -> user.sessions();
      case "deleteSession" ->
          user.deleteSession(
              Forms.text(args, "sessionId"),
              request ->
                  Forms.merge(
                      args, request, "forgetLearned", "purge", "allowMissing", "requestId"));
      case "extract" -> user.extract(source(args));
      case "learn" -> user.learn(source(args));
      case "extractions.get", "extractions.cancel", "extractions.retry" ->
          ofExtractions(user.extractions(), call, args);
      case "extractions.list" ->
          user.extractions().list(request -> Forms.merge(args, request, "states", "sessionId"));
      case "extractions.watch" ->
          user.extractions()
              .watch(Forms.text(args, "extractionId"), Forms.text(args, "resumeToken"));
      case "tools" -> tools(user, args);
      case "callTool" -> callTool(user, args);
      case "runToolCalls" -> runToolCalls(user, args);
      case "stats" -> user.stats();
      case "erase" -> user.erase(request -> Forms.merge(args, request, "requestId"));
      default -> throw new Executor.Unsupported(call);
    };
  }

  private static Object context(User user, JsonObject args) {
    User asked =
        args.has("orEmpty") ? user.withContextOrEmpty(Forms.flag(args, "orEmpty", false)) : user;
    return asked.context(
        Forms.text(args, "query"),
        request -> {
          Forms.merge(
              args,
              request,
              "layers",
              "filter",
              "sharedUserIds",
              "history",
              "format",
              "wrapper",
              "recall",
              "etag",
              "settings",
              "consistency");
          Forms.merge(args, request.getBudgetBuilder(), "maxCharacters", "maxTokens");
          if (args.has("waitSeconds")) {
            request.setWaitForLearning(Forms.wireSeconds(args, "waitSeconds"));
          }
        });
  }

  private static Object appendRun(User user, JsonObject args) {
    return user.appendRun(
        Forms.text(args, "sessionId"),
        messages(args),
        request -> {
          Forms.merge(args, request, "learningMode", "skipStored", "settings", "requestId");
          Forms.merge(
              args,
              request.getRunBuilder(),
              "runId",
              "replacesRunId",
              "contextMemoryIds",
              "metadata");
          if (args.has("waitSeconds")) {
            request.setWaitForLearning(Forms.wireSeconds(args, "waitSeconds"));
          }
        });
  }

  private static Object searchHistory(User user, JsonObject args) {
    return user.searchHistory(
        Forms.text(args, "query"),
        request -> {
          Forms.mergeAs(args, request, "limit", "topK");
          Forms.merge(args, request, "sessionIds", "agentIds", "roles", "besideCount", "minScore");
        });
  }

  private static Consumer<ExtractMemoriesRequest.Builder> source(JsonObject args) {
    return request -> {
      Forms.merge(args, request, "validateOnly", "settings", "requestId");
      if (args.has("text")) {
        request.getMessagesBuilder().addMessages(Messages.user(Forms.text(args, "text")));
      }
      if (args.has("messages")) {
        request.getMessagesBuilder().addAllMessages(messages(args));
      }
      if (args.has("runIds")) {
        Forms.merge(args, request.getRunsBuilder(), "runIds");
      }
    };
  }

  private static Object ofExtractions(Extractions extractions, String call, JsonObject args) {
    String extractionId = Forms.text(args, "extractionId");
    return switch (call) {
      case "extractions.get" -> extractions.get(extractionId);
      case "extractions.cancel" -> extractions.cancel(extractionId);
      default ->
          RetryExtractionsResponse.newBuilder()
              .addAllExtractions(extractions.retry(Forms.texts(args, "extractionIds")))
              .build();
    };
  }

  private static Object tools(User user, JsonObject args) {
    List<Tool> tools = user.tools(request -> Forms.merge(args, request, "format", "settings"));
    return listed("definitions", tools.stream().map(Tool::getDefinitionJson).toList());
  }

  private static Object callTool(User user, JsonObject args) {
    return user.callTool(
        Forms.text(args, "name"),
        args.has("arguments") ? args.get("arguments").toString() : "",
        request -> Forms.merge(args, request, "callId", "sessionId", "settings"));
  }

  private static Object runToolCalls(User user, JsonObject args) {
    return listed(
        "messages",
        user.runToolCalls(
            args.get("message").toString(),
            request -> Forms.merge(args, request, "sessionId", "settings")));
  }

  private static List<Message> messages(JsonObject args) {
    return Forms.list(args, "messages", Message::newBuilder).stream()
        .map(Message.Builder::build)
        .toList();
  }

  private static JsonObject listed(String name, List<String> jsons) {
    JsonArray items = new JsonArray();
    jsons.forEach(json -> items.add(JsonParser.parseString(json)));
    JsonObject object = new JsonObject();
    object.add(name, items);
    return object;
  }
}
