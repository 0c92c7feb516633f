package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.AppendRunRequest;
import dev.memsvc.v1.AppendRunResponse;
import dev.memsvc.v1.CallToolRequest;
import dev.memsvc.v1.CallToolResponse;
import dev.memsvc.v1.Commit;
import dev.memsvc.v1.CompileContextRequest;
import dev.memsvc.v1.DeleteSessionRequest;
import dev.memsvc.v1.DeleteSessionResponse;
import dev.memsvc.v1.EraseUserRequest;
import dev.memsvc.v1.EraseUserResponse;
import dev.memsvc.v1.ExportRecord;
import dev.memsvc.v1.ExportUserRequest;
import dev.memsvc.v1.ExtractMemoriesRequest;
import dev.memsvc.v1.ExtractionEvent;
import dev.memsvc.v1.GetHistoryRequest;
import dev.memsvc.v1.GetHistoryResponse;
import dev.memsvc.v1.GetStatsResponse;
import dev.memsvc.v1.GetUserMemoryRequest;
import dev.memsvc.v1.GetUserMemoryResponse;
import dev.memsvc.v1.ImportMode;
import dev.memsvc.v1.ImportOutcome;
import dev.memsvc.v1.Layer;
import dev.memsvc.v1.ListMemoryChangesRequest;
import dev.memsvc.v1.ListRunsRequest;
import dev.memsvc.v1.ListSessionsRequest;
import dev.memsvc.v1.ListToolsRequest;
import dev.memsvc.v1.ListTopicsRequest;
import dev.memsvc.v1.MemoryServiceGrpc;
import dev.memsvc.v1.Message;
import dev.memsvc.v1.Run;
import dev.memsvc.v1.SearchHistoryRequest;
import dev.memsvc.v1.SearchHistoryResponse;
import dev.memsvc.v1.Session;
import dev.memsvc.v1.SessionServiceGrpc;
import dev.memsvc.v1.SummarizeSessionRequest;
import dev.memsvc.v1.SummarizeSessionResponse;
import dev.memsvc.v1.Tool;
import dev.memsvc.v1.TopicCount;
import dev.memsvc.v1.WatchMemoriesRequest;
import dev.memsvc.v1.WatchMemoriesResponse;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.function.Consumer;

/**
 * One user's memory. Handles are cheap, and safe to use from several threads. What a call can be
 * told besides is set on its request: {@code context("Hi", of -> of.setEtag(etag))}. Every failed
 * call is a {@link MemsvcException}.
 */
public final class User {
  private static final Duration LEARN_TIMEOUT = Duration.ofMinutes(5);

  private final Subject subject;
  private final AsyncUser async;

  User(Subject subject) {
    this.subject = subject;
    this.async = new AsyncUser(subject);
  }

  /** Who it is. */
  public String userId() {
    return subject.scope().getUserId();
  }

  /** The same calls, answered by futures. */
  public AsyncUser async() {
    return async;
  }

  /** The same user, with another deadline for each call. It bounds streams as a whole. */
  public User withTimeout(Duration timeout) {
    return new User(subject.withTimeout(timeout));
  }

  /** The same user; whether a context is empty, and no failure, where the service is down. */
  public User withContextOrEmpty(boolean contextOrEmpty) {
    return new User(subject.withContextOrEmpty(contextOrEmpty));
  }

  /** The user's memories, one by one. */
  public Memories memories() {
    return new Memories(subject);
  }

  /** The jobs that learn for the user. */
  public Extractions extractions() {
    return new Extractions(subject);
  }

  /**
   * Compile what is known of the user, for a system prompt. The query is what the user just said,
   * or empty: under a budget the memories nearest to it stay.
   */
  public Context context(String query) {
    return Connection.await(async.context(query));
  }

  /** The same, with a budget, a history, layers, another form. */
  public Context context(String query, Consumer<CompileContextRequest.Builder> options) {
    return Connection.await(async.context(query, options));
  }

  /**
   * Store one exchange of a conversation; it is learned from in the background. The messages may be
   * those of this turn, or all of the conversation: what the session holds already is not stored
   * again.
   */
  public AppendRunResponse appendRun(String sessionId, Collection<Message> messages) {
    return Connection.await(async.appendRun(sessionId, messages));
  }

  /**
   * The same; {@code setWaitForLearning} waits until it is learned from, on top of the deadline.
   */
  public AppendRunResponse appendRun(
      String sessionId, Collection<Message> messages, Consumer<AppendRunRequest.Builder> options) {
    return Connection.await(async.appendRun(sessionId, messages, options));
  }

  /**
   * Learn from a text that the user said, and see what happens until it is completed. The job
   * begins with the first event that is asked for, is durable once {@code Accepted} came, and goes
   * on when the stream is left.
   */
  public EventStream<ExtractionEvent> extract(String text) {
    return extract(List.of(Messages.user(Requests.named("text", text))));
  }

  /** Learn from messages, and see what happens. */
  public EventStream<ExtractionEvent> extract(Collection<Message> messages) {
    return extract(request -> request.getMessagesBuilder().addAllMessages(messages));
  }

  /** Learn from what is set on the request: messages or runs, with settings. */
  public EventStream<ExtractionEvent> extract(Consumer<ExtractMemoriesRequest.Builder> options) {
    return extract(options, subject.timeout());
  }

  private EventStream<ExtractionEvent> extract(
      Consumer<ExtractMemoriesRequest.Builder> options, Duration timeout) {
    ExtractMemoriesRequest.Builder request =
        ExtractMemoriesRequest.newBuilder()
            .setScope(subject.scope())
            .setAgentId(subject.agentId())
            .setTeamId(subject.teamId())
            .setRequestId(Requests.newId());
    options.accept(request);
    if (request.getSourceCase() == ExtractMemoriesRequest.SourceCase.SOURCE_NOT_SET) {
      throw new IllegalArgumentException("learn from messages, or from runs");
    }
    return new EventStream<>(subject.connection(), new ExtractionEvents(request.build(), timeout));
  }

  /**
   * Learn from a text that the user said, and return what was committed; revision 0: there was
   * nothing to learn. An {@link ExtractionFailedException} where it failed; DEADLINE_EXCEEDED where
   * it has not ended in five minutes, and then it goes on in the background.
   */
  public Commit learn(String text) {
    return learn(List.of(Messages.user(Requests.named("text", text))));
  }

  /** Learn from messages, and return what was committed. */
  public Commit learn(Collection<Message> messages) {
    return learn(request -> request.getMessagesBuilder().addAllMessages(messages));
  }

  /** Learn from what is set on the request, and return what was committed. */
  public Commit learn(Consumer<ExtractMemoriesRequest.Builder> options) {
    Duration timeout = subject.timeout() == null ? LEARN_TIMEOUT : subject.timeout();
    try (EventStream<ExtractionEvent> events = extract(options, timeout)) {
      return Learned.from(events);
    }
  }

  /** The messages of a session's last ten runs, oldest first. */
  public GetHistoryResponse history(String sessionId) {
    return Connection.await(async.history(sessionId));
  }

  /** The messages of a session's last runs, of some roles. */
  public GetHistoryResponse history(String sessionId, Consumer<GetHistoryRequest.Builder> options) {
    return Connection.await(async.history(sessionId, options));
  }

  /** Find what was said in past conversations, best first. */
  public SearchHistoryResponse searchHistory(String query) {
    return Connection.await(async.searchHistory(query));
  }

  /** The same, in some sessions, at some time, with what was said beside it. */
  public SearchHistoryResponse searchHistory(
      String query, Consumer<SearchHistoryRequest.Builder> options) {
    return Connection.await(async.searchHistory(query, options));
  }

  /** The runs of a session, oldest first. */
  public Pages<Run> runs(String sessionId) {
    return runs(request -> request.setSessionId(sessionId));
  }

  /** Runs, of all sessions where none is set. */
  public Pages<Run> runs(Consumer<ListRunsRequest.Builder> options) {
    ListRunsRequest.Builder chosen = ListRunsRequest.newBuilder().setScope(subject.scope());
    options.accept(chosen);
    ListRunsRequest request = chosen.build();
    return new Pages<>(
        token ->
            subject.page(
                SessionServiceGrpc.getListRunsMethod(),
                request.toBuilder().setPageToken(token).build(),
                reply -> new Pages.Page<>(reply.getRunsList(), reply.getNextPageToken())));
  }

  /** A session. NOT_FOUND where there is none. */
  public Session session(String sessionId) {
    return Connection.await(async.session(sessionId));
  }

  /** The user's sessions, last used first. */
  public Pages<Session> sessions() {
    return new Pages<>(
        token ->
            subject.page(
                SessionServiceGrpc.getListSessionsMethod(),
                ListSessionsRequest.newBuilder()
                    .setScope(subject.scope())
                    .setPageToken(token)
                    .build(),
                reply -> new Pages.Page<>(reply.getSessionsList(), reply.getNextPageToken())));
  }

  /** Bring a session's summary up to date; {@code setWaitForSummary} waits for it. */
  public SummarizeSessionResponse summarize(
      String sessionId, Consumer<SummarizeSessionRequest.Builder> options) {
    return Connection.await(async.summarize(sessionId, options));
  }

  /** Delete a session with its runs. What was learned from it stays. */
  public DeleteSessionResponse deleteSession(String sessionId) {
    return Connection.await(async.deleteSession(sessionId));
  }

  /** The same; {@code setForgetLearned} deletes what was learned from it too. */
  public DeleteSessionResponse deleteSession(
      String sessionId, Consumer<DeleteSessionRequest.Builder> options) {
    return Connection.await(async.deleteSession(sessionId, options));
  }

  /** The four layers as one nested document. */
  public GetUserMemoryResponse document() {
    return Connection.await(async.document());
  }

  /** Some layers, or as it was. */
  public GetUserMemoryResponse document(Consumer<GetUserMemoryRequest.Builder> options) {
    return Connection.await(async.document(options));
  }

  /** Topics with the number of memories that have them, most frequent first. */
  public Pages<TopicCount> topics() {
    return topics(Requests.plain());
  }

  /** Topics of the memories that match. */
  public Pages<TopicCount> topics(Consumer<ListTopicsRequest.Builder> options) {
    ListTopicsRequest.Builder chosen = ListTopicsRequest.newBuilder().setScope(subject.scope());
    options.accept(chosen);
    ListTopicsRequest request = chosen.build();
    return new Pages<>(
        token ->
            subject.page(
                MemoryServiceGrpc.getListTopicsMethod(),
                request.toBuilder().setPageToken(token).build(),
                reply -> new Pages.Page<>(reply.getTopicsList(), reply.getNextPageToken())));
  }

  /** What happened to the user's memories, newest first. */
  public Pages<Commit> changes() {
    return changes(request -> {});
  }

  /** What happened to one memory. */
  public Pages<Commit> changes(String memoryId) {
    return changes(request -> request.setMemoryId(Requests.named("memoryId", memoryId)));
  }

  /** What happened at one key. */
  public Pages<Commit> changes(Layer layer, String key) {
    return changes(request -> request.setAddress(Requests.address(layer, key)));
  }

  private Pages<Commit> changes(Consumer<ListMemoryChangesRequest.Builder> target) {
    ListMemoryChangesRequest.Builder chosen =
        ListMemoryChangesRequest.newBuilder().setScope(subject.scope());
    target.accept(chosen);
    ListMemoryChangesRequest request = chosen.build();
    return new Pages<>(
        token ->
            subject.page(
                MemoryServiceGrpc.getListMemoryChangesMethod(),
                request.toBuilder().setPageToken(token).build(),
                reply -> new Pages.Page<>(reply.getCommitsList(), reply.getNextPageToken())));
  }

  /** The user's changes as they are committed, from now on. Ends when the user is erased. */
  public EventStream<WatchMemoriesResponse> watch() {
    return watch(Requests.plain());
  }

  /**
   * The same, with the present memories first ({@code setSendInitial}) or after an earlier event
   * ({@code setResumeToken}; OUT_OF_RANGE where the history no longer reaches back so far). The
   * token of a present memory is empty: who stops before InitialDone starts over.
   */
  public EventStream<WatchMemoriesResponse> watch(Consumer<WatchMemoriesRequest.Builder> options) {
    WatchMemoriesRequest.Builder request =
        WatchMemoriesRequest.newBuilder().setScope(subject.scope());
    options.accept(request);
    return new EventStream<>(
        subject.connection(), new MemoryEvents(request.build(), subject.timeout()));
  }

  /**
   * The tools that the configuration allows, in OpenAI's form: {@code getDefinitionJson} goes to
   * the model as it is.
   */
  public List<Tool> tools() {
    return Connection.await(async.tools());
  }

  /** The tools in the form of another provider, {@code setFormat}. */
  public List<Tool> tools(Consumer<ListToolsRequest.Builder> options) {
    return Connection.await(async.tools(options));
  }

  /** Carry out a call of a tool. What the model can mend is an answer with {@code is_error}. */
  public CallToolResponse callTool(String name, String argumentsJson) {
    return Connection.await(async.callTool(name, argumentsJson));
  }

  /** The same; under one {@code setCallId}, it happens once. */
  public CallToolResponse callTool(
      String name, String argumentsJson, Consumer<CallToolRequest.Builder> options) {
    return Connection.await(async.callTool(name, argumentsJson, options));
  }

  /**
   * Carry out the calls of memory's tools in what a model answered, as JSON of OpenAI or Anthropic,
   * and return the messages that answer them, in the same form. Calls of other tools are left to
   * the agent.
   */
  public List<String> runToolCalls(String messageJson) {
    return Connection.await(async.runToolCalls(messageJson));
  }

  /** The same, in a session: {@code setSessionId}. */
  public List<String> runToolCalls(String messageJson, Consumer<CallToolRequest.Builder> options) {
    return Connection.await(async.runToolCalls(messageJson, options));
  }

  /** What the user has. */
  public GetStatsResponse stats() {
    return Connection.await(async.stats());
  }

  /** Erase everything about the user: memories, history, runs, queued jobs. */
  public EraseUserResponse erase() {
    return Connection.await(async.erase());
  }

  /** The same, under a request_id of one's own. */
  public EraseUserResponse erase(Consumer<EraseUserRequest.Builder> options) {
    return Connection.await(async.erase(options));
  }

  /** All memories and runs, as they were when the first was asked for. */
  public Pages<ExportRecord> export() {
    return new Pages<>(
        token ->
            subject.page(
                AdminServiceGrpc.getExportUserMethod(),
                ExportUserRequest.newBuilder()
                    .setScope(subject.scope())
                    .setPageToken(token)
                    .build(),
                reply -> new Pages.Page<>(reply.getRecordsList(), reply.getNextPageToken())));
  }

  /**
   * Import what {@link #export} gave, of this user or another; ids, numbers and times are kept.
   * Many records go in several calls: each imports all of its memories or none.
   */
  public List<ImportOutcome> importRecords(Iterable<ExportRecord> records, ImportMode mode) {
    return new Import(subject, mode).of(records);
  }
}
