package dev.memsvc.springai;

import dev.memsvc.v1.MediaPart;
import dev.memsvc.v1.Message;
import dev.memsvc.v1.Part;
import dev.memsvc.v1.Role;
import dev.memsvc.v1.TextPart;
import dev.memsvc.v1.ToolCallPart;
import dev.memsvc.v1.ToolResultPart;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.ToolResponseMessage;
import org.springframework.ai.chat.messages.UserMessage;

/** Messages of Spring AI, as memory stores them. */
final class SpringMessages {
  private SpringMessages() {}

  /** What was said, called and answered; instructions are left out. */
  static List<Message> stored(List<org.springframework.ai.chat.messages.Message> given) {
    List<Message> messages = new ArrayList<>();
    for (var each : given) {
      if (each instanceof UserMessage user) {
        add(messages, Role.ROLE_USER, said(user));
      } else if (each instanceof AssistantMessage assistant) {
        add(messages, Role.ROLE_ASSISTANT, answered(assistant));
      } else if (each instanceof ToolResponseMessage tools) {
        for (var response : tools.getResponses()) {
          add(messages, Role.ROLE_TOOL, List.of(result(response)));
        }
      }
    }
    return messages;
  }

  /** The words of a message; empty where it has none. */
  static String text(org.springframework.ai.chat.messages.Message message) {
    return Objects.requireNonNullElse(message.getText(), "");
  }

  private static void add(List<Message> messages, Role role, List<Part> parts) {
    if (!parts.isEmpty()) {
      messages.add(Message.newBuilder().setRole(role).addAllParts(parts).build());
    }
  }

  private static List<Part> said(UserMessage message) {
    List<Part> parts = words(message);
    for (var media : message.getMedia()) {
      // That there was something, never its bytes.
      MediaPart.Builder part = MediaPart.newBuilder().setMimeType(media.getMimeType().toString());
      parts.add(Part.newBuilder().setMedia(part).build());
    }
    return parts;
  }

  private static List<Part> answered(AssistantMessage message) {
    List<Part> parts = words(message);
    for (var call : message.getToolCalls()) {
      ToolCallPart.Builder part =
          ToolCallPart.newBuilder()
              .setId(call.id())
              .setName(call.name())
              .setArgumentsJson(call.arguments());
      parts.add(Part.newBuilder().setToolCall(part).build());
    }
    return parts;
  }

  private static List<Part> words(org.springframework.ai.chat.messages.Message message) {
    List<Part> parts = new ArrayList<>();
    if (!text(message).isEmpty()) {
      parts.add(textPart(text(message)));
    }
    return parts;
  }

  private static Part result(ToolResponseMessage.ToolResponse response) {
    ToolResultPart.Builder part =
        ToolResultPart.newBuilder()
            .setCallId(response.id())
            .addParts(textPart(response.responseData()));
    return Part.newBuilder().setToolResult(part).build();
  }

  /**
   * A text of memory holds no NUL, as what a tool read of a file may: for one, nothing of the turn
   * would be stored.
   */
  private static Part textPart(String text) {
    TextPart.Builder part = TextPart.newBuilder().setText(text.replace("\0", ""));
    return Part.newBuilder().setText(part).build();
  }
}
