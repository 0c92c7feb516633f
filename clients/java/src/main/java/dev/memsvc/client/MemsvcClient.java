package dev.memsvc.client;

import dev.memsvc.v1.AdminServiceGrpc;
import dev.memsvc.v1.EraseNamespaceRequest;
import dev.memsvc.v1.EraseNamespaceResponse;
import dev.memsvc.v1.GetServerInfoResponse;
import dev.memsvc.v1.ListUsersRequest;
import dev.memsvc.v1.Scope;

/**
 * A client of memsvc. It is made once, shared by all threads, and closed at the end.
 *
 * <pre>{@code
 * try (MemsvcClient client = MemsvcClient.to("unix:///run/memsvc/memsvc.sock")) {
 *   String prompt = client.user("ann").context("How do I clean data?").text();
 * }
 * }</pre>
 */
public final class MemsvcClient implements AutoCloseable {
  private final Subject subject;
  private final String target;

  MemsvcClient(Connection connection, String namespace, String target) {
    Scope scope = Scope.newBuilder().setNamespace(namespace).build();
    this.subject = new Subject(connection, scope, "", "", null, null);
    this.target = target;
  }

  /** A client of the server at an address, with everything else as it is by default. */
  public static MemsvcClient to(String target) {
    return builder().target(target).build();
  }

  /** What makes a client. */
  public static ClientBuilder builder() {
    return new ClientBuilder();
  }

  /** The handle of one user; sends nothing. */
  public User user(String userId) {
    return user(userId, "", "");
  }

  /** The handle of one user; agent and team are the origin of what it writes, or empty. */
  public User user(String userId, String agentId, String teamId) {
    Scope scope = subject.scope().toBuilder().setUserId(Requests.named("userId", userId)).build();
    return new User(new Subject(subject.connection(), scope, agentId, teamId, null, null));
  }

  /** The calls of this client, answered by futures. */
  public AsyncMemsvcClient async() {
    return new AsyncMemsvcClient(subject);
  }

  /** The configuration of the client's namespace, and of agents in it. */
  public Config config() {
    return new Config(subject);
  }

  /** What the server is and offers; needs no right. */
  public GetServerInfoResponse serverInfo() {
    return Connection.await(async().serverInfo());
  }

  /** The ids of all users of the client's namespace. */
  public Pages<String> users() {
    return new Pages<>(
        token ->
            subject.page(
                AdminServiceGrpc.getListUsersMethod(),
                ListUsersRequest.newBuilder()
                    .setNamespace(subject.scope().getNamespace())
                    .setPageToken(token)
                    .build(),
                reply -> new Pages.Page<>(reply.getUserIdsList(), reply.getNextPageToken())));
  }

  /**
   * Erase every user of a namespace, and its configuration; its name is given twice. Safe to
   * repeat.
   */
  public EraseNamespaceResponse eraseNamespace(String namespace, String confirmNamespace) {
    EraseNamespaceResponse.Builder erased = EraseNamespaceResponse.newBuilder();
    String token = "";
    do {
      EraseNamespaceRequest request =
          EraseNamespaceRequest.newBuilder()
              .setNamespace(namespace)
              .setConfirmNamespace(confirmNamespace)
              .setPageToken(token)
              .build();
      var part =
          Connection.await(
              subject.send(AdminServiceGrpc.getEraseNamespaceMethod(), request, reply -> reply));
      erased
          .setErasedUserCount(erased.getErasedUserCount() + part.getErasedUserCount())
          .setErasedMemoryCount(erased.getErasedMemoryCount() + part.getErasedMemoryCount())
          .setErasedRunCount(erased.getErasedRunCount() + part.getErasedRunCount());
      token = part.getNextPageToken();
    } while (!token.isEmpty());
    return erased.build();
  }

  /** End all that is under way. Later calls fail with CLIENT_CLOSED. Safe to repeat. */
  @Override
  public void close() {
    subject.connection().close();
  }

  @Override
  public String toString() {
    return "MemsvcClient(" + target + ")";
  }
}
