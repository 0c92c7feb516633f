package dev.memsvc.client;

import dev.memsvc.v1.Origin;
import dev.memsvc.v1.Scope;
import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;

/**
 * Whom a handle speaks about, on whose behalf, and how long its calls may last: what its blocking
 * and its asynchronous form share.
 *
 * @param timeout null: as the client says
 * @param contextOrEmpty null: as the client says
 */
record Subject(
    Connection connection,
    Scope scope,
    String agentId,
    String teamId,
    Duration timeout,
    Boolean contextOrEmpty) {

  Subject withTimeout(Duration chosen) {
    return new Subject(
        connection, scope, agentId, teamId, positive("timeout", chosen), contextOrEmpty);
  }

  Subject withContextOrEmpty(boolean chosen) {
    return new Subject(connection, scope, agentId, teamId, timeout, chosen);
  }

  /** Where what it writes comes from. */
  Origin origin() {
    return Origin.newBuilder().setAgentId(agentId).setTeamId(teamId).build();
  }

  <Q, R, T> CompletableFuture<T> send(
      MethodDescriptor<Q, R> method, Q request, Function<R, T> read) {
    return send(method, request, Duration.ZERO, read);
  }

  /** Send a call that the server was asked to wait in: so much longer than others it may last. */
  <Q, R, T> CompletableFuture<T> send(
      MethodDescriptor<Q, R> method, Q request, Duration wait, Function<R, T> read) {
    Duration own = timeout == null ? connection.defaults().timeout() : timeout;
    return connection.send(method, request, own.plus(wait), read);
  }

  /** Send a call and wait for its page. */
  <Q, R, T> Pages.Page<T> page(
      MethodDescriptor<Q, R> method, Q request, Function<R, Pages.Page<T>> read) {
    return Connection.await(send(method, request, read));
  }

  static Duration positive(String name, Duration given) {
    if (given == null || given.isZero() || given.isNegative()) {
      throw new IllegalArgumentException(name + " must be more than 0, not " + given);
    }
    return given;
  }
}
