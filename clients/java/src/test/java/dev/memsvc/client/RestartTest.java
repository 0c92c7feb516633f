package dev.memsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.memsvc.v1.WatchMemoriesResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(value = 5, unit = TimeUnit.MINUTES)
class RestartTest {
  @Test
  void callsAndStreamsOutliveAServerThatIsKilled() throws Exception {
    try (Sidecar sidecar = Sidecar.start();
        MemsvcClient client = sidecar.client();
        EventStream<WatchMemoriesResponse> changes = client.user("ann").watch()) {
      changes.next();
      client.user("ann").memories().add("Before");
      sidecar.kill();
      CompletableFuture<String> waiting = client.user("ann").async().memories().add("After");
      sidecar.run();
      waiting.get();
      assertEquals("Before", nextText(changes));
      assertEquals("After", nextText(changes));
    }
  }

  private static String nextText(EventStream<WatchMemoriesResponse> changes) {
    WatchMemoriesResponse event = changes.next();
    while (!event.hasCommit()) {
      event = changes.next();
    }
    return event.getCommit().getChanges(0).getAfter().getText();
  }
}
