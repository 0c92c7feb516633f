package dev.memsvc.contract;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.memsvc.client.ClientBuilder;
import dev.memsvc.client.EventStream;
import dev.memsvc.client.MemsvcClient;
import dev.memsvc.client.MemsvcException;
import dev.memsvc.client.User;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;

/** Does with this client what clients/contract/README.md says, line by line. */
public final class Executor {
  private static final Gson GSON = new Gson();

  private final Map<String, MemsvcClient> clients = new HashMap<>();
  private final Map<String, Iterator<?>> streams = new HashMap<>();

  /** Answers lines until there are no more. */
  public static void main(String[] arguments) throws IOException {
    Executor executor = new Executor();
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    PrintStream answers = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      JsonObject asked = JsonParser.parseString(line).getAsJsonObject();
      JsonObject answer = executor.answer(asked);
      answer.add("id", asked.get("id"));
      answers.println(GSON.toJson(answer));
    }
    executor.clients.values().forEach(MemsvcClient::close);
  }

  private JsonObject answer(JsonObject asked) {
    try {
      return perform(asked);
    } catch (Unsupported unsupported) {
      return with("unsupported", Forms.json(unsupported.getMessage()));
    } catch (MemsvcException failure) {
      return with("error", Forms.failed(failure));
    } catch (IllegalArgumentException wrong) {
      JsonObject error = new JsonObject();
      error.addProperty("code", "WRONG_ARGUMENT");
      error.addProperty("message", wrong.getMessage());
      return with("error", error);
    }
  }

  private JsonObject perform(JsonObject asked) {
    switch (Forms.text(asked, "do")) {
      case "connect" -> clients.put(Forms.text(asked, "client"), connected(asked));
      case "close" -> clients.remove(Forms.text(asked, "client")).close();
      case "call" -> {
        return with("reply", reply(called(asked)));
      }
      case "open" -> streams.put(Forms.text(asked, "stream"), items(called(asked)));
      case "next" -> {
        Iterator<?> stream = streams.get(Forms.text(asked, "stream"));
        return stream.hasNext()
            ? with("item", Forms.shown(stream.next()))
            : with("ended", Forms.json(true));
      }
      case "leave" -> {
        if (streams.remove(Forms.text(asked, "stream")) instanceof EventStream<?> events) {
          events.close();
        }
      }
      default -> throw new Unsupported(Forms.text(asked, "do"));
    }
    return with("reply", new JsonObject());
  }

  private Object called(JsonObject asked) {
    String call = Forms.text(asked, "call");
    JsonObject args = asked.has("args") ? asked.getAsJsonObject("args") : new JsonObject();
    MemsvcClient client = clients.get(Forms.text(asked, "client"));
    switch (call) {
      case "serverInfo" -> {
        return client.serverInfo();
      }
      case "users" -> {
        return client.users();
      }
      case "config.get", "config.update" -> {
        return Calls.ofConfig(client.config(), call, args);
      }
      default -> {}
    }
    User user =
        client.user(
            Forms.text(asked, "user"), Forms.text(asked, "agentId"), Forms.text(asked, "teamId"));
    if (args.has("timeoutSeconds")) {
      user = user.withTimeout(Forms.seconds(args, "timeoutSeconds"));
    }
    return call.startsWith("memories.")
        ? CallsOfMemories.of(user.memories(), call, args)
        : Calls.of(user, call, args);
  }

  private static MemsvcClient connected(JsonObject asked) {
    ClientBuilder builder =
        MemsvcClient.builder()
            .target(Forms.text(asked, "target"))
            .namespace(Forms.text(asked, "namespace"))
            .waitForReady(Forms.flag(asked, "waitForReady", false))
            .contextOrEmpty(Forms.flag(asked, "contextOrEmpty", false));
    if (asked.has("token")) {
      builder.token(Forms.text(asked, "token"));
    }
    if (!Forms.text(asked, "caFile").isEmpty()) {
      builder.tls(Path.of(Forms.text(asked, "caFile")));
    }
    if (asked.has("timeoutSeconds")) {
      builder.timeout(Forms.seconds(asked, "timeoutSeconds"));
    }
    if (asked.has("contextTimeoutSeconds")) {
      Duration timeout = Forms.seconds(asked, "contextTimeoutSeconds");
      builder.contextTimeout(timeout);
    }
    return builder.build();
  }

  private static JsonElement reply(Object answer) {
    if (!(answer instanceof Iterable<?> listed) || answer instanceof JsonElement) {
      return Forms.shown(answer);
    }
    JsonArray items = new JsonArray();
    listed.forEach(each -> items.add(Forms.shown(each)));
    if (answer instanceof EventStream<?> events) {
      events.close();
    }
    return with("items", items);
  }

  private static Iterator<?> items(Object answer) {
    return ((Iterable<?>) answer).iterator();
  }

  private static JsonObject with(String name, JsonElement value) {
    JsonObject object = new JsonObject();
    object.add(name, value);
    return object;
  }

  /** The client does not offer that. */
  static final class Unsupported extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Unsupported(String what) {
      super("the Java client has no " + what);
    }
  }
}
