package dev.memsvc.client;

import dev.memsvc.v1.Commit;
import dev.memsvc.v1.ExtractionEvent;
import java.util.Iterator;

/** What the events of a whole extraction say was learned. */
final class Learned {
  private Learned() {}

  static Commit from(Iterator<ExtractionEvent> events) {
    Commit commit = Commit.getDefaultInstance();
    String extractionId = "";
    ExtractionFailedException failure = null;
    while (events.hasNext()) {
      ExtractionEvent event = events.next();
      switch (event.getEventCase()) {
        case ACCEPTED -> extractionId = event.getAccepted().getExtraction().getExtractionId();
        case COMMITTED -> commit = event.getCommitted().getCommit();
        case FAILED -> {
          var failed = event.getFailed();
          failure =
              new ExtractionFailedException(
                  extractionId, failed.getState(), failed.getReason(), failed.getDetail());
        }
        case RETRIED -> failure = null;
        default -> {}
      }
    }
    if (failure != null) {
      throw failure;
    }
    return commit;
  }
}
