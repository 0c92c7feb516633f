package dev.memsvc.client;

import dev.memsvc.v1.GetMemoryConfigRequest;
import dev.memsvc.v1.GetMemoryConfigResponse;
import dev.memsvc.v1.MemorySettings;
import dev.memsvc.v1.UpdateMemoryConfigRequest;
import dev.memsvc.v1.UpdateMemoryConfigResponse;
import java.util.function.Consumer;

/** What is configured of memory, for the client's namespace and for agents in it. */
public final class Config {
  private final AsyncConfig async;

  Config(Subject subject) {
    this.async = new AsyncConfig(subject);
  }

  /** What is configured for the namespace, and what is in force. */
  public GetMemoryConfigResponse get() {
    return Connection.await(async.get());
  }

  /** The same of an agent: {@code get(of -> of.setAgentId("coder"))}. */
  public GetMemoryConfigResponse get(Consumer<GetMemoryConfigRequest.Builder> options) {
    return Connection.await(async.get(options));
  }

  /**
   * Change what is set here, and nothing else; it holds from the next call on. {@code update(s ->
   * s.getProfileBuilder().setPrompt("…"))}
   */
  public UpdateMemoryConfigResponse update(Consumer<MemorySettings.Builder> settings) {
    return Connection.await(async.update(settings));
  }

  /**
   * The same of an agent, or guarded by an etag. A path that is added to the mask and not set is
   * cleared: {@code update(s -> {}, of -> of.getUpdateMaskBuilder().addPaths("policy.prompt"))}.
   */
  public UpdateMemoryConfigResponse update(
      Consumer<MemorySettings.Builder> settings,
      Consumer<UpdateMemoryConfigRequest.Builder> options) {
    return Connection.await(async.update(settings, options));
  }
}
