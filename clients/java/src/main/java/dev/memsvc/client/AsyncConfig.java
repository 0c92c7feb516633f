package dev.memsvc.client;

import dev.memsvc.v1.ConfigServiceGrpc;
import dev.memsvc.v1.GetMemoryConfigRequest;
import dev.memsvc.v1.GetMemoryConfigResponse;
import dev.memsvc.v1.MemorySettings;
import dev.memsvc.v1.UpdateMemoryConfigRequest;
import dev.memsvc.v1.UpdateMemoryConfigResponse;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/** The calls of {@link Config}, each answered by a future. Cancelling it cancels the call. */
public final class AsyncConfig {
  private final Subject subject;

  AsyncConfig(Subject subject) {
    this.subject = subject;
  }

  /** As {@link Config#get()}. */
  public CompletableFuture<GetMemoryConfigResponse> get() {
    return get(Requests.plain());
  }

  /** As {@link Config#get(Consumer)}. */
  public CompletableFuture<GetMemoryConfigResponse> get(
      Consumer<GetMemoryConfigRequest.Builder> options) {
    GetMemoryConfigRequest.Builder request =
        GetMemoryConfigRequest.newBuilder().setNamespace(subject.scope().getNamespace());
    options.accept(request);
    return subject.send(
        ConfigServiceGrpc.getGetMemoryConfigMethod(), request.build(), reply -> reply);
  }

  /** As {@link Config#update(Consumer)}. */
  public CompletableFuture<UpdateMemoryConfigResponse> update(
      Consumer<MemorySettings.Builder> settings) {
    return update(settings, Requests.plain());
  }

  /** As {@link Config#update(Consumer, Consumer)}. */
  public CompletableFuture<UpdateMemoryConfigResponse> update(
      Consumer<MemorySettings.Builder> settings,
      Consumer<UpdateMemoryConfigRequest.Builder> options) {
    UpdateMemoryConfigRequest.Builder request =
        UpdateMemoryConfigRequest.newBuilder()
            .setNamespace(subject.scope().getNamespace())
            .setRequestId(Requests.newId());
    settings.accept(request.getSettingsBuilder());
    request.getUpdateMaskBuilder().addAllPaths(Requests.settingPaths(request.getSettings()));
    options.accept(request);
    if (request.getUpdateMask().getPathsCount() == 0) {
      throw new IllegalArgumentException("nothing to update: set at least one setting");
    }
    return subject.send(
        ConfigServiceGrpc.getUpdateMemoryConfigMethod(), request.build(), reply -> reply);
  }
}
