package dev.memsvc.client;

import dev.memsvc.v1.MemoryServiceGrpc;
import dev.memsvc.v1.WatchMemoriesRequest;
import dev.memsvc.v1.WatchMemoriesResponse;
import java.time.Duration;

/** The changes of one user's memories. */
final class MemoryEvents extends Resumption<WatchMemoriesResponse> {
  private WatchMemoriesRequest request;

  MemoryEvents(WatchMemoriesRequest request, Duration timeout) {
    super(timeout);
    this.request = request;
  }

  @Override
  Leg.Request<?, ?, WatchMemoriesResponse> nextRequest(Duration legTimeout) {
    return request(MemoryServiceGrpc.getWatchMemoriesMethod(), request, legTimeout, this::read);
  }

  private WatchMemoriesResponse read(WatchMemoriesResponse event) {
    WatchMemoriesRequest.Builder next = request.toBuilder();
    if (!event.getResumeToken().isEmpty()) {
      next.setResumeToken(event.getResumeToken());
    }
    switch (event.getEventCase()) {
      case INITIAL_DONE -> next.setSendInitial(false);
      case ERASED -> end();
      default -> {}
    }
    request = next.build();
    // An event that a newer server has is passed over.
    return event.getEventCase() == WatchMemoriesResponse.EventCase.EVENT_NOT_SET ? null : event;
  }
}
