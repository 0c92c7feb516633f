package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.AppendRunRequest;
import dev.memsvc.v1.AppendRunResponse;
import dev.memsvc.v1.CallToolRequest;
import dev.memsvc.v1.CallToolResponse;
import dev.memsvc.v1.CompileContextRequest;
import dev.memsvc.v1.ContextServiceGrpc;
import dev.memsvc.v1.DeleteSessionRequest;
import dev.memsvc.v1.DeleteSessionResponse;
import dev.memsvc.v1.EraseUserRequest;
import dev.memsvc.v1.EraseUserResponse;
import dev.memsvc.v1.GetHistoryRequest;
import dev.memsvc.v1.GetHistoryResponse;
import dev.memsvc.v1.GetSessionRequest;
import dev.memsvc.v1.GetStatsRequest;
import dev.memsvc.v1.GetStatsResponse;
import dev.memsvc.v1.GetUserMemoryRequest;
import dev.memsvc.v1.GetUserMemoryResponse;
import dev.memsvc.v1.ListToolsRequest;
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
import dev.memsvc.v1.ToolFormat;
import dev.memsvc.v1.ToolServiceGrpc;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** The calls of {@link User}, each answered by a future. Cancelling it cancels the call. */
public final class AsyncUser {
  /** The tool that starts an extraction, and waits for it. */
  private static final String SLOW_TOOL = "update_user_memory";

  private static final Duration SLOW_TOOL_WAIT = Duration.ofSeconds(60);

  private final Subject subject;

  AsyncUser(Subject subject) {
    this.subject = subject;
  }

  /** The user's memories, one by one. */
  public AsyncMemories memories() {
    return new AsyncMemories(subject);
  }

  /** The jobs that learn for the user. */
  public AsyncExtractions extractions() {
    return new AsyncExtractions(subject);
  }

  /** As {@link User#context(String)}. */
  public CompletableFuture<Context> context(String query) {
    return context(query, Requests.plain());
  }

  /** As {@link User#context(String, Consumer)}. */
  public CompletableFuture<Context> context(
      String query, Consumer<CompileContextRequest.Builder> options) {
    CompileContextRequest.Builder request =
        CompileContextRequest.newBuilder()
            .setScope(subject.scope())
            .setQuery(query)
            .setAgentId(subject.agentId());
    options.accept(request);
    Defaults defaults = subject.connection().defaults();
    Duration timeout = subject.timeout() == null ? defaults.contextTimeout() : subject.timeout();
    CompletableFuture<Context> answer =
        subject
            .connection()
            .send(
                ContextServiceGrpc.getCompileContextMethod(),
                request.build(),
                timeout.plus(Requests.duration(request.getWaitForLearning())),
                Context::of);
    boolean orEmpty =
        subject.contextOrEmpty() == null ? defaults.contextOrEmpty() : subject.contextOrEmpty();
    return orEmpty ? orEmpty(answer) : answer;
  }

  private static CompletableFuture<Context> orEmpty(CompletableFuture<Context> answer) {
    CompletableFuture<Context> either = new CompletableFuture<>();
    either.whenComplete(
        (context, failure) -> {
          if (either.isCancelled()) {
            answer.cancel(true);
          }
        });
    answer.whenComplete(
        (context, error) -> {
          if (error == null) {
            either.complete(context);
          } else if (error instanceof MemsvcException failure && failure.isServiceDown()) {
            either.complete(Context.without(failure));
          } else {
            either.completeExceptionally(error);
          }
        });
    return either;
  }

  /** As {@link User#appendRun(String, Collection)}. */
  public CompletableFuture<AppendRunResponse> appendRun(
      String sessionId, Collection<Message> messages) {
    return appendRun(sessionId, messages, Requests.plain());
  }

  /** As {@link User#appendRun(String, Collection, Consumer)}. */
  public CompletableFuture<AppendRunResponse> appendRun(
      String sessionId, Collection<Message> messages, Consumer<AppendRunRequest.Builder> options) {
    AppendRunRequest.Builder request =
        AppendRunRequest.newBuilder()
            .setScope(subject.scope())
            .setRun(
                Run.newBuilder()
                    .setSessionId(sessionId)
                    .addAllMessages(messages)
                    .setAgentId(subject.agentId())
                    .setTeamId(subject.teamId()))
            .setRequestId(Requests.newId())
            .setSkipStored(true);
    options.accept(request);
    return subject.send(
        SessionServiceGrpc.getAppendRunMethod(),
        request.build(),
        Requests.duration(request.getWaitForLearning()),
        reply -> reply);
  }

  /** As {@link User#history(String)}. */
  public CompletableFuture<GetHistoryResponse> history(String sessionId) {
    return history(sessionId, Requests.plain());
  }

  /** As {@link User#history(String, Consumer)}. */
  public CompletableFuture<GetHistoryResponse> history(
      String sessionId, Consumer<GetHistoryRequest.Builder> options) {
    GetHistoryRequest.Builder request =
        GetHistoryRequest.newBuilder().setScope(subject.scope()).setSessionId(sessionId);
    options.accept(request);
    return subject.send(SessionServiceGrpc.getGetHistoryMethod(), request.build(), reply -> reply);
  }

  /** As {@link User#searchHistory(String)}. */
  public CompletableFuture<SearchHistoryResponse> searchHistory(String query) {
    return searchHistory(query, Requests.plain());
  }

  /** As {@link User#searchHistory(String, Consumer)}. */
  public CompletableFuture<SearchHistoryResponse> searchHistory(
      String query, Consumer<SearchHistoryRequest.Builder> options) {
    SearchHistoryRequest.Builder request =
        SearchHistoryRequest.newBuilder().setScope(subject.scope()).setQuery(query);
    options.accept(request);
    return subject.send(
        SessionServiceGrpc.getSearchHistoryMethod(), request.build(), reply -> reply);
  }

  /** As {@link User#session(String)}. */
  public CompletableFuture<Session> session(String sessionId) {
    GetSessionRequest request =
        GetSessionRequest.newBuilder().setScope(subject.scope()).setSessionId(sessionId).build();
    return subject.send(
        SessionServiceGrpc.getGetSessionMethod(), request, reply -> reply.getSession());
  }

  /** As {@link User#summarize(String, Consumer)}. */
  public CompletableFuture<SummarizeSessionResponse> summarize(
      String sessionId, Consumer<SummarizeSessionRequest.Builder> options) {
    SummarizeSessionRequest.Builder request =
        SummarizeSessionRequest.newBuilder()
            .setScope(subject.scope())
            .setSessionId(sessionId)
            .setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(
        SessionServiceGrpc.getSummarizeSessionMethod(),
        request.build(),
        Requests.duration(request.getWaitForSummary()),
        reply -> reply);
  }

  /** As {@link User#deleteSession(String)}. */
  public CompletableFuture<DeleteSessionResponse> deleteSession(String sessionId) {
    return deleteSession(sessionId, Requests.plain());
  }

  /** As {@link User#deleteSession(String, Consumer)}. */
  public CompletableFuture<DeleteSessionResponse> deleteSession(
      String sessionId, Consumer<DeleteSessionRequest.Builder> options) {
    DeleteSessionRequest.Builder request =
        DeleteSessionRequest.newBuilder()
            .setScope(subject.scope())
            .setSessionId(sessionId)
            .setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(
        SessionServiceGrpc.getDeleteSessionMethod(), request.build(), reply -> reply);
  }

  /** As {@link User#document()}. */
  public CompletableFuture<GetUserMemoryResponse> document() {
    return document(Requests.plain());
  }

  /** As {@link User#document(Consumer)}. */
  public CompletableFuture<GetUserMemoryResponse> document(
      Consumer<GetUserMemoryRequest.Builder> options) {
    GetUserMemoryRequest.Builder request =
        GetUserMemoryRequest.newBuilder().setScope(subject.scope());
    options.accept(request);
    return subject.send(
        MemoryServiceGrpc.getGetUserMemoryMethod(), request.build(), reply -> reply);
  }

  /** As {@link User#tools()}. */
  public CompletableFuture<List<Tool>> tools() {
    return tools(request -> request.setFormat(ToolFormat.TOOL_FORMAT_OPENAI));
  }

  /** As {@link User#tools(Consumer)}. */
  public CompletableFuture<List<Tool>> tools(Consumer<ListToolsRequest.Builder> options) {
    ListToolsRequest.Builder request =
        ListToolsRequest.newBuilder()
            .setScope(subject.scope())
            .setFormat(ToolFormat.TOOL_FORMAT_OPENAI)
            .setAgentId(subject.agentId());
    options.accept(request);
    return subject.send(
        ToolServiceGrpc.getListToolsMethod(), request.build(), reply -> reply.getToolsList());
  }

  /** As {@link User#callTool(String, String)}. */
  public CompletableFuture<CallToolResponse> callTool(String name, String argumentsJson) {
    return callTool(name, argumentsJson, Requests.plain());
  }

  /** As {@link User#callTool(String, String, Consumer)}. */
  public CompletableFuture<CallToolResponse> callTool(
      String name, String argumentsJson, Consumer<CallToolRequest.Builder> options) {
    CallToolRequest.Builder request =
        CallToolRequest.newBuilder()
            .setScope(subject.scope())
            .setName(name)
            .setArgumentsJson(argumentsJson)
            // A call that is sent again, for its answer was lost, is still one call.
            .setCallId(Requests.newId())
            .setAgentId(subject.agentId())
            .setTeamId(subject.teamId());
    Duration wait = Duration.ZERO;
    if (name.equals(SLOW_TOOL)) {
      request.setWait(Requests.duration(SLOW_TOOL_WAIT));
    }
    options.accept(request);
    if (name.equals(SLOW_TOOL)) {
      wait = Requests.duration(request.getWait());
    }
    return subject.send(ToolServiceGrpc.getCallToolMethod(), request.build(), wait, reply -> reply);
  }

  /** As {@link User#runToolCalls(String)}. */
  public CompletableFuture<List<String>> runToolCalls(String messageJson) {
    return runToolCalls(messageJson, Requests.plain());
  }

  /** As {@link User#runToolCalls(String, Consumer)}. */
  public CompletableFuture<List<String>> runToolCalls(
      String messageJson, Consumer<CallToolRequest.Builder> options) {
    ToolMessages message = ToolMessages.in(messageJson);
    List<CallToolResponse> answers = new ArrayList<>();
    CompletableFuture<?> all = CompletableFuture.completedFuture(null);
    for (ToolMessages.Given given : message.calls()) {
      all = all.thenCompose(before -> callTool(given, options)).thenAccept(answers::add);
    }
    return all.thenApply(done -> message.answeredBy(answers));
  }

  private CompletableFuture<CallToolResponse> callTool(
      ToolMessages.Given given, Consumer<CallToolRequest.Builder> options) {
    return callTool(
        given.name(),
        given.argumentsJson(),
        request -> {
          if (!given.callId().isEmpty()) {
            request.setCallId(given.callId());
          }
          options.accept(request);
        });
  }

  /** As {@link User#stats()}. */
  public CompletableFuture<GetStatsResponse> stats() {
    GetStatsRequest request = GetStatsRequest.newBuilder().setScope(subject.scope()).build();
    return subject.send(AdminServiceGrpc.getGetStatsMethod(), request, reply -> reply);
  }

  /** As {@link User#erase()}. */
  public CompletableFuture<EraseUserResponse> erase() {
    return erase(Requests.plain());
  }

  /** As {@link User#erase(Consumer)}. */
  public CompletableFuture<EraseUserResponse> erase(Consumer<EraseUserRequest.Builder> options) {
    EraseUserRequest.Builder request =
        EraseUserRequest.newBuilder().setScope(subject.scope()).setRequestId(Requests.newId());
    options.accept(request);
    return subject.send(AdminServiceGrpc.getEraseUserMethod(), request.build(), reply -> reply);
  }
}
