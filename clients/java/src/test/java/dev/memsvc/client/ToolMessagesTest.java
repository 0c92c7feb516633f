package dev.memsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.memsvc.v1.CallToolResponse;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ToolMessagesTest {
  private static final CallToolResponse ANSWER =
      CallToolResponse.newBuilder().setText("Skis").build();

  @Test
  void callsOfChatCompletionsAreAnsweredByMessages() {
    ToolMessages message =
        ToolMessages.in(
            """
            {"role": "assistant", "content": null, "tool_calls": [
              {"id": "c1", "type": "function",
               "function": {"name": "search_memories", "arguments": "{\\"query\\": \\"x\\"}"}},
              {"id": "c2", "type": "function", "function": {"name": "get_weather"}}]}""");
    assertEquals(
        List.of(new ToolMessages.Given("c1", "search_memories", "{\"query\": \"x\"}")),
        message.calls());
    assertEquals(
        List.of("{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"Skis\"}"),
        message.answeredBy(List.of(ANSWER)));
  }

  @Test
  void itemsOfResponsesAreAnsweredByItems() {
    ToolMessages message =
        ToolMessages.in(
            """
            {"output": [{"type": "reasoning"},
              {"type": "function_call", "call_id": "c1", "name": "forget", "arguments": "{}"}]}""");
    assertEquals(
        List.of("{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"Skis\"}"),
        message.answeredBy(List.of(ANSWER)));
  }

  @Test
  void blocksAreAnsweredByOneMessage() {
    ToolMessages message =
        ToolMessages.in(
            """
            {"role": "assistant", "content": [{"type": "text", "text": "Let me see"},
              {"type": "tool_use", "id": "c1", "name": "get_memories", "input": {"limit": 3}}]}""");
    assertEquals("{\"limit\":3}", message.calls().get(0).argumentsJson());
    assertEquals(
        List.of(
            "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\","
                + "\"content\":\"Skis\",\"is_error\":false}]}"),
        message.answeredBy(List.of(ANSWER)));
  }

  @Test
  void aMessageWithoutCallsIsAnsweredByNone() {
    assertEquals(
        List.of(),
        ToolMessages.in("{\"role\": \"assistant\", \"content\": \"Hi\"}").answeredBy(List.of()));
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"text\"", "{", "{\"choices\": []}"})
  void whatIsNoMessageIsRefused(String message) {
    assertThrows(IllegalArgumentException.class, () -> ToolMessages.in(message));
  }
}
