package dev.memsvc.client;

import dev.memsvc.v1.Message;
import dev.memsvc.v1.Part;
import dev.memsvc.v1.Role;
import dev.memsvc.v1.TextPart;
import dev.memsvc.v1.ToolCallPart;
import dev.memsvc.v1.ToolResultPart;
import java.util.stream.Collectors;

/** Messages of a conversation, as one writes them. */
public final class Messages {
  private Messages() {}

  /** What the user said. */
  public static Message user(String text) {
    return of(Role.ROLE_USER, text);
  }

  /** What the agent said. */
  public static Message assistant(String text) {
    return of(Role.ROLE_ASSISTANT, text);
  }

  /** What the application told the agent. */
  public static Message system(String text) {
    return of(Role.ROLE_SYSTEM, text);
  }

  /** That the agent called a tool. */
  public static Message toolCall(String callId, String name, String argumentsJson) {
    ToolCallPart call =
        ToolCallPart.newBuilder()
            .setId(callId)
            .setName(name)
            .setArgumentsJson(argumentsJson)
            .build();
    return Message.newBuilder()
        .setRole(Role.ROLE_ASSISTANT)
        .addParts(Part.newBuilder().setToolCall(call))
        .build();
  }

  /** What a tool answered. */
  public static Message tool(String callId, String text) {
    ToolResultPart result =
        ToolResultPart.newBuilder().setCallId(callId).addParts(text(text)).build();
    return Message.newBuilder()
        .setRole(Role.ROLE_TOOL)
        .addParts(Part.newBuilder().setToolResult(result))
        .build();
  }

  /** A message of one text. */
  public static Message of(Role role, String text) {
    return Message.newBuilder().setRole(role).addParts(text(text)).build();
  }

  /** The text of a message, without calls of tools, their results and media. */
  public static String textOf(Message message) {
    return message.getPartsList().stream()
        .filter(Part::hasText)
        .map(part -> part.getText().getText())
        .collect(Collectors.joining("\n"));
  }

  private static Part text(String text) {
    return Part.newBuilder().setText(TextPart.newBuilder().setText(text)).build();
  }
}
