package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.GetServerInfoRequest;
import dev.memsvc.v1.GetServerInfoResponse;
import java.util.concurrent.CompletableFuture;

/** The calls of {@link MemsvcClient}, each answered by a future. Cancelling it cancels the call. */
public final class AsyncMemsvcClient {
  private final Subject subject;

  AsyncMemsvcClient(Subject subject) {
    this.subject = subject;
  }

  /** As {@link MemsvcClient#serverInfo()}. */
  public CompletableFuture<GetServerInfoResponse> serverInfo() {
    return subject.send(
        AdminServiceGrpc.getGetServerInfoMethod(),
        GetServerInfoRequest.getDefaultInstance(),
        reply -> reply);
  }

  /** The configuration of the client's namespace, and of agents in it. */
  public AsyncConfig config() {
    return new AsyncConfig(subject);
  }
}
