package dev.memsvc.springai;

import dev.memsvc.client.MemsvcClient;
import dev.memsvc.client.User;
import dev.memsvc.v1.CompileContextRequest;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.function.Consumer;
import org.springframework.ai.chat.client.ChatClientMessageAggregator;
import org.springframework.ai.chat.client.ChatClientRequest;
import org.springframework.ai.chat.client.ChatClientResponse;
import org.springframework.ai.chat.client.advisor.api.CallAdvisor;
import org.springframework.ai.chat.client.advisor.api.CallAdvisorChain;
import org.springframework.ai.chat.client.advisor.api.StreamAdvisor;
import org.springframework.ai.chat.client.advisor.api.StreamAdvisorChain;
import org.springframework.ai.chat.memory.ChatMemory;
import org.springframework.ai.chat.messages.AssistantMessage;
import org.springframework.core.Ordered;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

/**
 * Gives an agent its user's memory: what is known goes into the system prompt, and what was said is
 * stored once the model has answered, to be learned from. The user is the parameter {@link
 * #USER_ID} of a call, the session its {@link ChatMemory#CONVERSATION_ID} (none: a new one). Where
 * memory is down, the agent answers without it, and one line of the log says so.
 *
 * <p>One advisor serves all users, and may be shared by threads.
 */
public final class MemsvcAdvisor implements CallAdvisor, StreamAdvisor {
  /** Names the user in the parameters of a call. */
  public static final String USER_ID = "memsvc_user_id";

  /** Within the loop that calls tools, so that these calls are stored, too. */
  public static final int DEFAULT_ORDER = Ordered.HIGHEST_PRECEDENCE + 400;

  private final MemsvcClient client;
  private final String agentId;
  private final int order;
  private final Turns turns;

  private MemsvcAdvisor(Builder builder) {
    this.client = builder.client;
    this.agentId = builder.agentId;
    this.order = builder.order;
    this.turns = new Turns(builder.context);
  }

  /** An advisor as it is by default. The client stays the caller's, who closes it. */
  public static MemsvcAdvisor of(MemsvcClient client) {
    return builder(client).build();
  }

  /** An advisor of one's own. */
  public static Builder builder(MemsvcClient client) {
    return new Builder(client);
  }

  @Override
  public String getName() {
    return "memsvc";
  }

  @Override
  public int getOrder() {
    return order;
  }

  @Override
  public ChatClientResponse adviseCall(ChatClientRequest request, CallAdvisorChain chain) {
    Turn turn = turn(request);
    ChatClientResponse response = chain.nextCall(turn.withContext(request));
    turns.answered(turn, request, answer(response));
    return response;
  }

  @Override
  public Flux<ChatClientResponse> adviseStream(
      ChatClientRequest request, StreamAdvisorChain chain) {
    Scheduler scheduler = Schedulers.boundedElastic();
    return Mono.fromCallable(() -> turn(request))
        .subscribeOn(scheduler)
        .flatMapMany(turn -> heard(turn, request, chain, scheduler));
  }

  /** The answer as it comes; it is stored once it has ended, or was left, as far as it came. */
  private Flux<ChatClientResponse> heard(
      Turn turn, ChatClientRequest request, StreamAdvisorChain chain, Scheduler scheduler) {
    StringBuffer said = new StringBuffer();
    Flux<ChatClientResponse> answer =
        chain
            .nextStream(turn.withContext(request))
            .publishOn(scheduler)
            .doOnNext(
                piece -> answer(piece).forEach(each -> said.append(SpringMessages.text(each))));
    return new ChatClientMessageAggregator()
        .aggregateChatClientResponse(answer, whole -> turns.answered(turn, request, answer(whole)))
        .doOnCancel(
            () -> {
              AssistantMessage part = new AssistantMessage(said.toString());
              scheduler.schedule(() -> turns.answered(turn, request, List.of(part)));
            });
  }

  private Turn turn(ChatClientRequest request) {
    if (!(request.context().get(USER_ID) instanceof String userId) || userId.isBlank()) {
      throw new IllegalArgumentException(
          "no user: name one by advisors(of -> of.param(MemsvcAdvisor.USER_ID, ...))");
    }
    User user = client.user(userId, agentId, "");
    Object session = request.context().get(ChatMemory.CONVERSATION_ID);
    String sessionId = Objects.requireNonNullElseGet(session, UUID::randomUUID).toString();
    return turns.of(user, sessionId, request.prompt().getInstructions());
  }

  private static List<AssistantMessage> answer(ChatClientResponse response) {
    return response.chatResponse() == null || response.chatResponse().getResult() == null
        ? List.of()
        : List.of(response.chatResponse().getResult().getOutput());
  }

  /** How an advisor is to be. */
  public static final class Builder {
    private final MemsvcClient client;
    private String agentId = "";
    private int order = DEFAULT_ORDER;
    private Consumer<CompileContextRequest.Builder> context = request -> {};

    private Builder(MemsvcClient client) {
      this.client = Objects.requireNonNull(client, "client");
    }

    /** The agent on whose behalf it is. */
    public Builder agentId(String chosen) {
      this.agentId = Objects.requireNonNull(chosen, "agentId");
      return this;
    }

    /** Where it stands among other advisors; before the loop that calls tools it sees no call. */
    public Builder order(int chosen) {
      this.order = chosen;
      return this;
    }

    /**
     * What a context is told besides: {@code of -> of.getBudgetBuilder().setMaxCharacters(2000)}.
     */
    public Builder context(Consumer<CompileContextRequest.Builder> chosen) {
      this.context = Objects.requireNonNull(chosen, "context");
      return this;
    }

    /** The advisor. */
    public MemsvcAdvisor build() {
      return new MemsvcAdvisor(this);
    }
  }
}
