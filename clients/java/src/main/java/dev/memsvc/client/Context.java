package dev.memsvc.client;

import dev.memsvc.v1.CompileContextResponse;
import java.util.Optional;

/**
 * Memories as text for a system prompt.
 *
 * @param response all that the server said; empty where the memory did not answer
 * @param failure why it did not, where the context is empty for that ({@code contextOrEmpty})
 */
public record Context(CompileContextResponse response, Optional<MemsvcException> failure) {
  /** Empty when there is nothing to show, and when {@link #unchanged}. */
  public String text() {
    return response.getText();
  }

  /** A digest of the text: give it to the next call, to hear that the text still holds. */
  public String etag() {
    return response.getEtag();
  }

  /** The text is that whose etag was given. */
  public boolean unchanged() {
    return response.getUnchanged();
  }

  /** The text. */
  @Override
  public String toString() {
    return text();
  }

  static Context of(CompileContextResponse response) {
    return new Context(response, Optional.empty());
  }

  static Context without(MemsvcException failure) {
    return new Context(CompileContextResponse.getDefaultInstance(), Optional.of(failure));
  }
}
