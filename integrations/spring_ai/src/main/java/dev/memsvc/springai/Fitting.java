package dev.memsvc.springai;

import com.google.gson.JsonObject;
import dev.memsvc.v1.Message;
import dev.memsvc.v1.Part;
import dev.memsvc.v1.Role;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * What is too large for memory: a message is kept by its beginning, and a turn is stored as several
 * runs. As the adapters of Python do: the longest text of a message is cut, and the next, until it
 * fits.
 */
final class Fitting {
  private static final int MESSAGE_BYTES = 256 << 10;
  private static final int RUN_BYTES = 2 << 20;
  private static final int RUN_MESSAGES = 1_000;

  private Fitting() {}

  /** The messages in as many runs as it takes, each cut that is larger than one may be. */
  static List<List<Message>> runs(List<Message> given) {
    List<Message> messages = given.stream().map(Fitting::fit).toList();
    List<List<Message>> runs = new ArrayList<>();
    for (int start = 0; start < messages.size(); ) {
      int end = start;
      int room = RUN_BYTES;
      for (; end < messages.size() && end - start < RUN_MESSAGES; end++) {
        room -= size(messages.get(end).getPartsList());
        if (room < 0 && end > start) {
          break;
        }
      }
      // Tools' answers stay with their call where they can.
      int call = end;
      while (start < call
          && call < messages.size()
          && messages.get(call).getRole() == Role.ROLE_TOOL) {
        call--;
      }
      end = call > start ? call : end;
      runs.add(messages.subList(start, end));
      start = end;
    }
    return runs;
  }

  private static Message fit(Message given) {
    Message.Builder message = given.toBuilder();
    int over;
    while ((over = size(message.getPartsList()) - MESSAGE_BYTES) > 0) {
      Part.Builder longest = null;
      for (Part.Builder part : message.getPartsBuilderList()) {
        Part.Builder text = part.hasToolResult() ? answer(part) : part;
        if (longest == null || length(text) > length(longest)) {
          longest = text;
        }
      }
      int before = longest == null ? 0 : length(longest);
      if (before == 0) {
        break;
      }
      cut(longest, before - over);
      if (length(longest) >= before) {
        break;
      }
    }
    return message.build();
  }

  /** The text of a tool's answer, which has one. */
  private static Part.Builder answer(Part.Builder part) {
    return part.getToolResultBuilder().getPartsBuilder(0);
  }

  private static int length(Part.Builder part) {
    return bytes(
        part.hasToolCall() ? part.getToolCall().getArgumentsJson() : part.getText().getText());
  }

  private static void cut(Part.Builder part, int most) {
    if (part.hasToolCall()) {
      // They are an object in any case; in a string of JSON its quotes take twice the room.
      JsonObject object = new JsonObject();
      object.addProperty("input", beginning(part.getToolCall().getArgumentsJson(), most / 2 - 16));
      part.getToolCallBuilder().setArgumentsJson(object.toString());
    } else {
      part.getTextBuilder().setText(beginning(part.getText().getText(), most));
    }
  }

  /**
   * The beginning of a text, and how much is left out, in at most so many bytes, if that note needs
   * no more.
   */
  private static String beginning(String text, int most) {
    byte[] whole = text.getBytes(StandardCharsets.UTF_8);
    int end = Math.max(0, most - leftOut(whole.length).length());
    while (end > 0 && (whole[end] & 0xc0) == 0x80) {
      end--;
    }
    return new String(whole, 0, end, StandardCharsets.UTF_8) + leftOut(whole.length - end);
  }

  private static String leftOut(int bytes) {
    return "\n[... " + bytes + " bytes left out]";
  }

  /** The size of parts as the service counts it: all their strings. */
  private static int size(List<Part> parts) {
    int size = 0;
    for (Part part : parts) {
      size +=
          switch (part.getPartCase()) {
            case TEXT -> bytes(part.getText().getText());
            case MEDIA -> bytes(part.getMedia().getMimeType());
            case TOOL_CALL ->
                bytes(part.getToolCall().getId())
                    + bytes(part.getToolCall().getName())
                    + bytes(part.getToolCall().getArgumentsJson());
            case TOOL_RESULT ->
                bytes(part.getToolResult().getCallId()) + size(part.getToolResult().getPartsList());
            case PROVIDER, PART_NOT_SET -> 0;
          };
    }
    return size;
  }

  private static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }
}
