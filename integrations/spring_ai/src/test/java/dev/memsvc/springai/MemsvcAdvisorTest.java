package dev.memsvc.springai;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.memsvc.client.MemsvcClient;
import dev.memsvc.client.MemsvcException;
import dev.memsvc.v1.Message;
import dev.memsvc.v1.Role;
import dev.memsvc.v1.Run;
import dev.memsvc.v1.ToolCallPart;
import dev.memsvc.v1.ToolResultPart;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Scanner;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.client.advisor.MessageChatMemoryAdvisor;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.ai.chat.memory.MessageWindowChatMemory;
import org.springframework.ai.tool.annotation.Tool;

/** An agent with memory: what arrives in its prompt, what is learned, whose it is. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class MemsvcAdvisorTest {
  @TempDir static Path folder;
  private static Surroundings there;
  private static MemsvcClient client;

  private final String user = "user-" + UUID.randomUUID();

  @BeforeAll
  static void begin() throws Exception {
    there = new Surroundings(folder);
    client = there.client();
  }

  @AfterAll
  static void end() throws Exception {
    client.close();
    there.close();
  }

  @BeforeEach
  void forget() throws Exception {
    there.forget();
  }

  private static ChatClient.Builder agent(MemsvcClient from) {
    return ChatClient.builder(SpringAi.model(there.baseUrl))
        .defaultSystem("Be brief.")
        .defaultAdvisors(MemsvcAdvisor.of(from));
  }

  private static ChatClient.ChatClientRequestSpec said(
      ChatClient agent, String userId, String session, String words) {
    return agent
        .prompt()
        .user(words)
        .advisors(
            of ->
                of.param(MemsvcAdvisor.USER_ID, userId).param(ChatMemory.CONVERSATION_ID, session));
  }

  /** What is known once all that was said is learned. */
  private static String learned(String userId) {
    return client
        .user(userId)
        .context("", of -> of.getWaitForLearningBuilder().setSeconds(60))
        .text();
  }

  /** The runs of a session, as roles. */
  private static List<String> stored(String userId, String session) {
    return StreamSupport.stream(client.user(userId).runs(session).spliterator(), false)
        .map(Run::getMessagesList)
        .map(run -> run.stream().map(MemsvcAdvisorTest::role).collect(Collectors.joining(" ")))
        .toList();
  }

  private static String role(Message message) {
    return message.getRole().name().substring("ROLE_".length()).toLowerCase();
  }

  @Test
  void whatAUserSaidIsInThePromptOfTheNextConversation() throws Exception {
    ChatClient agent = agent(client).build();
    said(agent, user, "s1", "I live in Lyon.").call().content();
    assertTrue(learned(user).contains("Lyon"));
    String answer = said(agent, user, "s2", "My location?").call().content();
    assertTrue(answer.contains("Lyon"), answer);
    assertTrue(there.asked().contains("Be brief.\\\\n\\\\n<user_memory>"), there.asked());
    assertEquals(List.of("user assistant"), stored(user, "s1"));
  }

  @Test
  void eachTurnIsOneRunAlsoWhereTheConversationIsKept() {
    ChatMemory window = MessageWindowChatMemory.builder().build();
    ChatClient agent =
        agent(client).defaultAdvisors(MessageChatMemoryAdvisor.builder(window).build()).build();
    for (String words : List.of("I like tea.", "I like tea.", "And coffee.")) {
      said(agent, user, "s1", words).call().content();
    }
    assertEquals(List.of("user assistant", "user assistant", "user assistant"), stored(user, "s1"));
  }

  @Test
  void aNulInWhatWasSaidCostsNoRun() {
    said(agent(client).build(), user, "s1", "I like\0 tea.").call().content();
    assertEquals(List.of("user assistant"), stored(user, "s1"));
  }

  @Test
  void whatIsTooLargeIsKeptByItsBeginning() {
    said(agent(client).build(), user, "s1", "é".repeat(200_000)).call().content();
    assertEquals(List.of("user assistant"), stored(user, "s1"));
    String text =
        client
            .user(user)
            .runs("s1")
            .iterator()
            .next()
            .getMessages(0)
            .getParts(0)
            .getText()
            .getText();
    String kept = text.split("\n")[0];
    assertTrue(kept.matches("é{131000,131072}"));
    assertEquals(
        "\n[... " + (400_000 - 2 * kept.length()) + " bytes left out]",
        text.substring(kept.length()));
  }

  @Test
  void aTurnThatIsTooLargeIsSeveralRuns() {
    ToolCallPart.Builder call =
        ToolCallPart.newBuilder()
            .setId("c1")
            .setName("write")
            .setArgumentsJson("{\"text\": \"" + "\\\"".repeat(150_000) + "\"}");
    ToolResultPart.Builder answer = ToolResultPart.newBuilder().setCallId("c1");
    answer.addPartsBuilder().getTextBuilder().setText("é".repeat(150_000));
    List<Message> turn = new ArrayList<>();
    for (int index = 0; index < 600; index++) {
      if (index == 9) {
        call.setArgumentsJson("{}");
        answer.getPartsBuilder(0).getTextBuilder().setText("ok");
      }
      Message.Builder called = Message.newBuilder().setRole(Role.ROLE_ASSISTANT);
      called.addPartsBuilder().setToolCall(call);
      Message.Builder told = Message.newBuilder().setRole(Role.ROLE_TOOL);
      told.addPartsBuilder().setToolResult(answer);
      turn.addAll(List.of(called.build(), told.build()));
    }
    List<List<Message>> runs = Fitting.runs(turn);
    assertEquals(1_200, runs.stream().mapToInt(List::size).sum());
    for (List<Message> run : runs) {
      client.user(user).appendRun("s1", run);
      assertEquals(Role.ROLE_ASSISTANT, run.get(0).getRole());
    }
  }

  @Test
  void aStreamedAnswerIsPassedOnAndStoredWhole() {
    ChatClient agent = agent(client).build();
    List<String> pieces =
        said(agent, user, "s1", "I live in Lyon, and not anywhere else.").stream()
            .content()
            .collectList()
            .block();
    assertTrue(pieces.size() > 1, pieces.toString());
    assertTrue(learned(user).contains("Lyon"));
    List<Message> kept = client.user(user).history("s1").getMessagesList();
    assertEquals(String.join("", pieces), kept.get(1).getParts(0).getText().getText());
  }

  /** What the scripted model calls to note a fact. */
  static final class Notes {
    @Tool(name = "save_memory", description = "Note a fact.")
    String save() {
      return "Noted.";
    }
  }

  @Test
  void callsOfToolsAreKeptInOneRunOfTheirTurn() {
    ChatClient agent =
        agent(client).defaultAdvisors(SpringAi.toolLoop()).defaultTools(new Notes()).build();
    String answer = said(agent, user, "s1", "I'm allergic to peanuts.").call().content();
    assertTrue(answer.contains("Noted."), answer);
    assertEquals(List.of("user assistant tool assistant"), stored(user, "s1"));
  }

  @Test
  void anAnswerThatIsLeftIsStoredAsFarAsItCame() throws Exception {
    ChatClient agent = agent(client).build();
    String words = "I live in Lyon, and this is more than is said at once.";
    said(agent, user, "s1", words).stream().content().take(1).blockLast();
    while (stored(user, "s1").isEmpty()) {
      TimeUnit.MILLISECONDS.sleep(20);
    }
    assertEquals(List.of("user assistant"), stored(user, "s1"));
  }

  @Test
  void twoUsersAtOnceKeepApart() {
    ChatClient agent = agent(client).build();
    List<String> users = List.of("ada-" + user, "ben-" + user);
    List<String> places = List.of("Lyon", "Oslo");
    List<CompletableFuture<String>> told = new ArrayList<>();
    for (int at = 0; at < 2; at++) {
      String userId = users.get(at);
      String words = "I live in " + places.get(at) + ".";
      told.add(
          CompletableFuture.supplyAsync(() -> said(agent, userId, "s1", words).call().content()));
    }
    told.forEach(CompletableFuture::join);
    users.forEach(MemsvcAdvisorTest::learned);
    List<CompletableFuture<String>> asked =
        users.stream()
            .map(
                each ->
                    CompletableFuture.supplyAsync(
                        () -> said(agent, each, "s2", "My location?").call().content()))
            .toList();
    for (int at = 0; at < 2; at++) {
      String answer = asked.get(at).join();
      assertTrue(answer.contains(places.get(at)), answer);
      assertFalse(answer.contains(places.get(1 - at)), answer);
    }
  }

  @Test
  void withoutItsMemoryTheAgentAnswersAndOneLineSaysSo() {
    List<String> lines = new ArrayList<>();
    Handler handler = collecting(lines);
    Logger.getLogger("memsvc").addHandler(handler);
    try (MemsvcClient nowhere = MemsvcClient.to("127.0.0.1:1")) {
      ChatClient agent = agent(nowhere).build();
      String answer = said(agent, user, "s1", "I live in Lyon.").call().content();
      assertEquals("You said: I live in Lyon.", answer);
      assertEquals(1, lines.size(), lines.toString());
      assertTrue(lines.get(0).startsWith("memory_down: "), lines.toString());
      assertFalse(lines.get(0).contains("Lyon"), lines.toString());
    } finally {
      Logger.getLogger("memsvc").removeHandler(handler);
    }
  }

  private static Handler collecting(List<String> lines) {
    return new Handler() {
      @Override
      public void publish(LogRecord record) {
        lines.add(record.getMessage());
      }

      @Override
      public void flush() {}

      @Override
      public void close() {}
    };
  }

  @Test
  void nobodyNamedIsAnErrorAndSoIsAUserWhoCannotBe() {
    ChatClient agent = agent(client).build();
    assertThrows(IllegalArgumentException.class, () -> agent.prompt("Hello").call().content());
    String nobody = "x".repeat(300);
    assertThrows(MemsvcException.class, () -> said(agent, nobody, "s1", "Hello").call().content());
  }

  @Test
  void theExampleChatsAndRemembers() {
    PrintStream usual = System.out;
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    try {
      for (String line : List.of("I live in Lyon.", "My location?")) {
        var in = new ByteArrayInputStream(line.getBytes(StandardCharsets.UTF_8));
        Chat.with(
            user, SpringAi.model(there.baseUrl), client, new Scanner(in, StandardCharsets.UTF_8));
        learned(user);
      }
    } finally {
      System.setOut(usual);
    }
    assertTrue(out.toString(StandardCharsets.UTF_8).contains("location: Lyon"), out.toString());
  }
}
