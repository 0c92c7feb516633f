package dev.memsvc.client;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.memsvc.v1.CallToolResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * The calls of tools in what a model answered, and the messages that answer them, in the form of
 * each provider:
 *
 * <pre>
 * openai, chat completions   tool_calls of a message            one message of role tool for each call
 * openai, responses          items of type function_call        one item function_call_output for each
 * anthropic                  content blocks of type tool_use    one user message, a tool_result for each
 * </pre>
 */
final class ToolMessages {
  private static final Set<String> TOOLS =
      Set.of(
          "save_memory",
          "update_memory",
          "forget",
          "update_user_memory",
          "search_memories",
          "get_memories",
          "read_chat_history",
          "search_history");

  /** One call, as the model made it. */
  record Given(String callId, String name, String argumentsJson) {}

  private enum Form {
    COMPLETIONS,
    RESPONSES,
    BLOCKS
  }

  private final Form form;
  private final List<Given> calls;

  private ToolMessages(Form form, List<Given> calls) {
    this.form = form;
    // Other tools are the agent's own.
    this.calls = calls.stream().filter(call -> TOOLS.contains(call.name())).toList();
  }

  static ToolMessages in(String messageJson) {
    JsonElement message = Json.parse("message", messageJson);
    if (message instanceof JsonArray) {
      return inBlocks(message);
    }
    JsonObject said =
        Json.object(message)
            .orElseThrow(
                () -> new IllegalArgumentException("message must be what a model answered"));
    if (said.has("choices")) {
      throw new IllegalArgumentException(
          "message must be one message: choices[0].message of a completion");
    }
    if (said.get("output") instanceof JsonArray output) {
      return inBlocks(output);
    }
    List<Given> calls =
        Json.objects(said.get("tool_calls")).stream().map(ToolMessages::of).toList();
    if (calls.isEmpty() && said.get("content") instanceof JsonArray content) {
      return inBlocks(content);
    }
    return new ToolMessages(Form.COMPLETIONS, calls);
  }

  List<Given> calls() {
    return calls;
  }

  /** The messages that answer the calls, in their order. */
  List<String> answeredBy(List<CallToolResponse> answers) {
    List<JsonObject> messages = new ArrayList<>();
    for (int index = 0; index < answers.size(); index++) {
      messages.add(answer(calls.get(index).callId(), answers.get(index)));
    }
    if (form == Form.BLOCKS && !messages.isEmpty()) {
      JsonArray blocks = new JsonArray();
      messages.forEach(blocks::add);
      JsonObject message = new JsonObject();
      message.addProperty("role", "user");
      message.add("content", blocks);
      messages = List.of(message);
    }
    return messages.stream().map(Json::of).toList();
  }

  private JsonObject answer(String callId, CallToolResponse answer) {
    JsonObject message = new JsonObject();
    switch (form) {
      case COMPLETIONS -> {
        message.addProperty("role", "tool");
        message.addProperty("tool_call_id", callId);
        message.addProperty("content", answer.getText());
      }
      case RESPONSES -> {
        message.addProperty("type", "function_call_output");
        message.addProperty("call_id", callId);
        message.addProperty("output", answer.getText());
      }
      case BLOCKS -> {
        message.addProperty("type", "tool_result");
        message.addProperty("tool_use_id", callId);
        message.addProperty("content", answer.getText());
        message.addProperty("is_error", answer.getIsError());
      }
    }
    return message;
  }

  private static ToolMessages inBlocks(JsonElement blocks) {
    List<JsonObject> given = Json.objects(blocks);
    List<Given> items =
        given.stream()
            .filter(block -> Json.text(block, "type").equals("function_call"))
            .map(
                block ->
                    new Given(
                        Json.text(block, "call_id"),
                        Json.text(block, "name"),
                        Json.text(block, "arguments")))
            .toList();
    if (!items.isEmpty()) {
      return new ToolMessages(Form.RESPONSES, items);
    }
    List<Given> uses =
        given.stream()
            .filter(block -> Json.text(block, "type").equals("tool_use"))
            .map(
                block ->
                    new Given(
                        Json.text(block, "id"),
                        Json.text(block, "name"),
                        block.has("input") ? Json.of(block.get("input")) : "{}"))
            .toList();
    return new ToolMessages(Form.BLOCKS, uses);
  }

  /** A call of chat completions; frameworks have name and arguments beside the id. */
  private static Given of(JsonObject call) {
    JsonObject function = Json.object(call.get("function")).orElse(call);
    JsonElement arguments =
        function.has("arguments") ? function.get("arguments") : function.get("args");
    String json =
        arguments == null
            ? "{}"
            : arguments.isJsonPrimitive() ? arguments.getAsString() : Json.of(arguments);
    return new Given(Json.text(call, "id"), Json.text(function, "name"), json);
  }
}
