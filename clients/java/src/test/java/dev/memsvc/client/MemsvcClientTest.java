package dev.memsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.memsvc.v1.Commit;
import dev.memsvc.v1.ExtractionEvent;
import dev.memsvc.v1.ImportMode;
import dev.memsvc.v1.Layer;
import dev.memsvc.v1.LearningMode;
import dev.memsvc.v1.LearningState;
import dev.memsvc.v1.Memory;
import dev.memsvc.v1.MemoryFilter;
import dev.memsvc.v1.Reason;
import dev.memsvc.v1.WatchMemoriesResponse;
import io.grpc.Status;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.Timeout;

/** What the client does beside what the contract asks of every language. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class MemsvcClientTest {
  private static Sidecar sidecar;
  private static MemsvcClient client;

  @BeforeAll
  static void start() {
    sidecar = Sidecar.start();
    client = sidecar.client();
  }

  @AfterAll
  static void stop() {
    if (sidecar != null) {
      client.close();
      sidecar.close();
    }
  }

  private static User user(TestInfo test) {
    return client.user(test.getTestMethod().orElseThrow().getName(), "agent", "");
  }

  @Test
  void aMemoryIsWrittenChangedAndFound(TestInfo test) {
    Memories memories = user(test).memories();
    String id = memories.add("Skis at Tahoe", of -> of.getMemoryBuilder().addTopics("hobbies"));
    memories.update(id, memory -> memory.setText("Skis at Kirkwood"));

    Memory memory = memories.get(id);
    assertEquals("Skis at Kirkwood", memory.getText());
    assertEquals(List.of("hobbies"), memory.getTopicsList());
    assertEquals("agent", memory.getOrigin().getAgentId());
    assertEquals(id, memories.search("Kirkwood").getHits(0).getMemory().getMemoryId());

    memories.update(id, none -> {}, of -> of.getUpdateMaskBuilder().addPaths("topics"));
    assertEquals(List.of(), memories.get(id).getTopicsList());
    memories.delete(id);
    assertEquals(id, memories.undo().getCommit().getChanges(0).getAfter().getMemoryId());
  }

  @Test
  void aValueAtAKeyIsSaidAsOneWould(TestInfo test) {
    Memories memories = user(test).memories();
    Memory memory = memories.upsert(Layer.LAYER_PROFILE, "stack.languages", List.of("Java", "Go"));
    assertEquals("stack.languages: Java, Go", memory.getText());
    assertEquals("[\"Java\",\"Go\"]", memory.getValueJson());

    memories.upsert(Layer.LAYER_PROFILE, "stack.languages", of -> of.setText("Java alone"));
    assertEquals("", memories.get(Layer.LAYER_PROFILE, "stack.languages").getValueJson());
    assertEquals(1, memories.clear(MemoryFilter.newBuilder().setKeyPath("stack").build()));
  }

  @Test
  void aBatchIsAllOrNothing(TestInfo test) {
    Memories memories = user(test).memories();
    Commit commit =
        memories.batch(
            List.of(
                Operations.create("One"),
                Operations.create(
                    of -> of.setText("Two").setLayer(Layer.LAYER_PROFILE).setKey("two"))));
    assertEquals(2, commit.getChangesCount());
    assertEquals("agent", commit.getChanges(0).getAfter().getOrigin().getAgentId());

    MemsvcException refused =
        assertThrows(
            MemsvcException.class,
            () ->
                memories.batch(
                    List.of(
                        Operations.update(Layer.LAYER_PROFILE, "two", of -> of.setText("2")),
                        Operations.delete("none"))));
    assertEquals(Status.Code.NOT_FOUND, refused.code());
    assertEquals("Two", memories.get(Layer.LAYER_PROFILE, "two").getText());
  }

  @Test
  void whatIsWrongIsNamed(TestInfo test) {
    Memories memories = user(test).memories();
    MemsvcException wrong = assertThrows(MemsvcException.class, () -> memories.add(""));
    assertEquals(Status.Code.INVALID_ARGUMENT, wrong.code());
    assertEquals("INVALID_FIELD", wrong.reason());
    assertEquals("memory.text", wrong.fields().get(0).field());
    assertEquals(Reason.REASON_INVALID_FIELD, Reason.valueOf("REASON_" + wrong.reason()));
    assertTrue(
        List.of(wrong.getStackTrace()).stream()
            .anyMatch(frame -> frame.getClassName().equals(MemsvcClientTest.class.getName())),
        "the trace is the caller's");

    assertThrows(IllegalArgumentException.class, () -> memories.update("id", nothing -> {}));
    assertThrows(
        IllegalArgumentException.class, () -> memories.clear(MemoryFilter.getDefaultInstance()));
  }

  @Test
  void pagesAreFetchedAsTheyAreNeeded(TestInfo test) {
    Memories memories = user(test).memories();
    memories.batch(
        IntStream.range(0, 25).mapToObj(each -> Operations.create("Text " + each)).toList());
    Pages<Memory> pages = memories.list(of -> of.setPageSize(10));
    assertEquals(25, pages.toList().size());
    assertEquals(25, pages.stream().map(Memory::getMemoryId).distinct().count());

    var first = pages.iterator();
    first.next();
    memories.clearAll();
    int fetchedBefore = 1;
    while (first.hasNext()) {
      first.next();
      fetchedBefore++;
    }
    assertEquals(10, fetchedBefore);
  }

  @Test
  void aRunIsLearnedFromAndReadAsHistory(TestInfo test) {
    User user = user(test);
    var receipt =
        user.appendRun(
            "s1",
            List.of(Messages.user("My name is Ann."), Messages.assistant("Hello Ann!")),
            of -> of.setWaitForLearning(Requests.duration(Duration.ofSeconds(60))));
    assertEquals(LearningState.LEARNING_STATE_LEARNED, receipt.getLearning());
    assertEquals("My name is Ann.", Messages.textOf(user.history("s1").getMessages(0)));
    assertEquals("s1", user.searchHistory("Ann").getPassages(0).getSessionId());
    assertEquals(1, user.runs("s1").toList().size());
    assertTrue(user.context("Who am I?").text().contains("Ann"));
    assertTrue(user.document().getDocumentJson().contains("Ann"));
  }

  @Test
  void learningIsSeenAsItHappens(TestInfo test) {
    try (EventStream<ExtractionEvent> events = user(test).extract("I live in Porto.")) {
      List<ExtractionEvent> all = events.stream().toList();
      assertTrue(all.get(0).hasAccepted());
      assertTrue(all.get(all.size() - 1).hasCompleted());
      assertFalse(events.hasNext());
    }
    assertTrue(user(test).learn("I love jazz.").getChangesCount() > 0);
    assertEquals(0, user(test).learn("Hello").getRevision());
  }

  @Test
  void aStreamThatIsClosedByAnotherThreadEnds(TestInfo test) throws Exception {
    EventStream<WatchMemoriesResponse> events = user(test).watch();
    events.next();
    CompletableFuture<Boolean> more = CompletableFuture.supplyAsync(events::hasNext);
    events.close();
    assertFalse(more.get());
  }

  @Test
  void futuresHaveWhatCallsAnswer(TestInfo test) throws Exception {
    AsyncUser user = user(test).async();
    String id = user.memories().add("Skis").thenCompose(user.memories()::get).get().getMemoryId();
    assertEquals(id, user.memories().search("Skis").get().getHits(0).getMemory().getMemoryId());

    ExecutionException failed =
        assertThrows(ExecutionException.class, () -> user.memories().get("none").get());
    assertEquals("MEMORY_NOT_FOUND", ((MemsvcException) failed.getCause()).reason());
  }

  @Test
  void whatIsExportedIsImported(TestInfo test) {
    User user = user(test);
    user.memories().add("Skis");
    user.appendRun(
        "s1",
        List.of(Messages.user("Hi")),
        of -> of.setLearningMode(LearningMode.LEARNING_MODE_OFF));
    User other = client.user("another");
    assertEquals(2, other.importRecords(user.export(), ImportMode.IMPORT_MODE_FAIL).size());
    assertEquals("Skis", other.memories().list().iterator().next().getText());
    assertTrue(client.users().toList().contains("another"));
    other.erase();
    assertEquals(0, other.stats().getMemoryCount());
  }

  @Test
  void whatIsConfiguredIsOnlyWhatWasSet() {
    try (MemsvcClient own = sidecar.builder().namespace("configured").build()) {
      own.config().update(settings -> settings.getPolicyBuilder().setPrompt("Only wishes."));
      own.config().update(settings -> settings.getOperationsBuilder().setDelete(false));
      var config = own.config().get().getConfig();
      assertEquals("Only wishes.", config.getSettings().getPolicy().getPrompt());
      own.config().update(none -> {}, of -> of.getUpdateMaskBuilder().addPaths("policy.prompt"));
      assertFalse(own.config().get().getConfig().getSettings().getPolicy().hasPrompt());
    }
  }

  @Test
  void whatIsClosedSaysSo() {
    MemsvcClient own = sidecar.client();
    EventStream<WatchMemoriesResponse> events = own.user("u").watch();
    events.next();
    own.close();
    own.close();
    MemsvcException closed = assertThrows(MemsvcException.class, own::serverInfo);
    assertEquals("CLIENT_CLOSED", closed.reason());
    closed = assertThrows(MemsvcException.class, events::hasNext);
    assertEquals("CLIENT_CLOSED", closed.reason());
  }

  @Test
  void aContextMayBeEmptyWhereNobodyIs() {
    try (MemsvcClient nobody =
        MemsvcClient.builder()
            .target("127.0.0.1:1")
            .waitForReady(false)
            .contextOrEmpty(true)
            .build()) {
      Context context = nobody.user("ann").context("Hi");
      assertEquals("", context.text());
      assertEquals(Status.Code.UNAVAILABLE, context.failure().orElseThrow().code());
      User strict = nobody.user("ann").withContextOrEmpty(false);
      assertThrows(MemsvcException.class, () -> strict.context("Hi"));
    }
  }

  @Test
  void aFutureThatIsCancelledEndsItsCall() throws Exception {
    try (MemsvcClient nobody =
        MemsvcClient.builder().target("127.0.0.1:1").timeout(Duration.ofHours(1)).build()) {
      CompletableFuture<?> waiting = nobody.async().serverInfo();
      waiting.cancel(true);
      assertTrue(waiting.isCancelled());
      assertThrows(
          MemsvcException.class,
          () -> {
            Thread.currentThread().interrupt();
            nobody.serverInfo();
          });
      assertTrue(Thread.interrupted());
    }
  }
}
