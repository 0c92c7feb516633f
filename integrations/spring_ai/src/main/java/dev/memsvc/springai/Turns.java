package dev.memsvc.springai;

import dev.memsvc.client.Context;
import dev.memsvc.client.MemsvcException;
import dev.memsvc.client.User;
import dev.memsvc.v1.CompileContextRequest;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.apache.commons.logging.Log;
import org.apache.commons.logging.LogFactory;
import org.springframework.ai.chat.client.ChatClientRequest;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.ai.chat.messages.Message;
import org.springframework.ai.chat.messages.UserMessage;

/**
 * The turns that are under way. A model is asked several times in one, each time with all that was
 * said: a turn begins with what the user said last, and ends with an answer that calls no tool.
 */
final class Turns {
  private static final Log log = LogFactory.getLog("memsvc");
  private static final int QUERY_BYTES = 8 << 10;

  /** Turns that never end, for an agent stopped at a call, are forgotten. */
  private static final int MOST = 1_000;

  /** Where memory did not answer before in the turn: the user waits for what follows the answer. */
  private static final Duration LATE_APPEND = Duration.ofSeconds(1);

  private final Consumer<CompileContextRequest.Builder> options;
  private final Map<Turn.Key, Turn> underWay =
      Collections.synchronizedMap(
          new LinkedHashMap<>() {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<Turn.Key, Turn> eldest) {
              return size() > MOST;
            }
          });

  Turns(Consumer<CompileContextRequest.Builder> options) {
    this.options = options;
  }

  /** The turn that a question to the model belongs to; a new one asks what is known. */
  Turn of(User user, String sessionId, List<Message> prompt) {
    int begin = beginning(prompt);
    String query = query(prompt.subList(begin, prompt.size()));
    Turn.Key key = new Turn.Key(user.userId(), sessionId, begin, query);
    Turn known = underWay.get(key);
    if (known != null) {
      return known;
    }
    Context context = user.withContextOrEmpty(true).context(query, options);
    context.failure().ifPresent(Turns::down);
    Turn turn = new Turn(key, user, context);
    underWay.put(key, turn);
    return turn;
  }

  /** Store a turn, unless the agent goes on with it. */
  void answered(Turn turn, ChatClientRequest request, List<AssistantMessage> answer) {
    if (answer.stream().anyMatch(AssistantMessage::hasToolCalls)) {
      return;
    }
    underWay.remove(turn.key());
    List<Message> prompt = request.prompt().getInstructions();
    List<Message> said = new ArrayList<>(prompt.subList(beginning(prompt), prompt.size()));
    said.addAll(answer);
    if (said.stream().noneMatch(UserMessage.class::isInstance)) {
      return;
    }
    boolean isDown = turn.context().failure().isPresent();
    User user = isDown ? turn.user().withTimeout(LATE_APPEND) : turn.user();
    try {
      boolean isFirst = true;
      for (List<dev.memsvc.v1.Message> run : Fitting.runs(SpringMessages.stored(said))) {
        // What follows the first is new, also where it is the same as what that ends with.
        boolean skips = isFirst;
        isFirst = false;
        user.appendRun(
            turn.key().sessionId(),
            run,
            of ->
                of.setSkipStored(skips)
                    .getRunBuilder()
                    .addAllContextMemoryIds(turn.context().response().getMemoryIdsList()));
      }
    } catch (MemsvcException failure) {
      if (!failure.isServiceDown()) {
        log.error("run_not_stored: " + words(failure));
      } else if (!isDown) {
        down(failure);
      }
    }
  }

  /** Where the turn begins: with all that the user said last; at the end where nothing was said. */
  private static int beginning(List<Message> prompt) {
    int begin = prompt.size();
    while (begin > 0 && !(prompt.get(begin - 1) instanceof UserMessage)) {
      begin--;
    }
    if (begin == 0) {
      return prompt.size();
    }
    while (begin > 0 && prompt.get(begin - 1) instanceof UserMessage) {
      begin--;
    }
    return begin;
  }

  /** What the user asks, as much of it as a query may hold: the end, where people ask. */
  private static String query(List<Message> said) {
    String words =
        said.stream()
            .filter(UserMessage.class::isInstance)
            .map(SpringMessages::text)
            .collect(Collectors.joining("\n"))
            .replace("\0", "");
    byte[] bytes = words.getBytes(StandardCharsets.UTF_8);
    byte[] last = Arrays.copyOfRange(bytes, Math.max(0, bytes.length - QUERY_BYTES), bytes.length);
    return new String(last, StandardCharsets.UTF_8).replaceFirst("^\uFFFD+", "");
  }

  private static void down(MemsvcException failure) {
    log.warn("memory_down: the agent goes on without it: " + words(failure));
  }

  /** What failed, in one line, without a word of what was said. */
  private static String words(MemsvcException failure) {
    if (!failure.fields().isEmpty()) {
      return failure.fields().stream()
          .map(each -> each.field() + " " + each.description())
          .collect(Collectors.joining(", ", failure.code() + " ", ""));
    }
    // What a transport says goes on with its own causes, in many lines.
    String first = failure.description().split("\\R|\\. ", 2)[0];
    return (failure.code() + " " + failure.reason() + " " + first).replace("  ", " ");
  }
}
