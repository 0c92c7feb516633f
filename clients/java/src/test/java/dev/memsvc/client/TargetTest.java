package dev.memsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TargetTest {
  @ParameterizedTest
  @CsvSource({
    "unix:///run/memsvc.sock, unix:///run/memsvc.sock, true",
    "unix:/run/memsvc.sock, unix:///run/memsvc.sock, true",
    "unix:///run/a%b.sock, unix:///run/a%25b.sock, true",
    "localhost:7432, dns:///localhost:7432, true",
    "127.0.0.1:7432, dns:///127.0.0.1:7432, true",
    "[::1]:7432, dns:///[::1]:7432, true",
    "memory.example.com:7432, dns:///memory.example.com:7432, false",
    "tls://memory.example.com:7432, dns:///memory.example.com:7432, false",
    "dns:///memory.example.com:7432, dns:///memory.example.com:7432, false",
  })
  void anAddressIsGivenToGrpcAsItTakesIt(String target, String address, boolean local) {
    assertEquals(address, Target.of(target).address());
    assertEquals(local, Target.of(target).local());
  }

  @Test
  void tlsIsSaidBeforeTheAddress() {
    assertTrue(Target.of("tls://127.0.0.1:7432").tls());
    assertFalse(Target.of("127.0.0.1:7432").tls());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "/run/memsvc.sock",
        "unix://run/memsvc.sock",
        "unix:memsvc.sock",
        "localhost",
        ":7432",
        "localhost:0",
        "localhost:99999",
        "::1:7432",
        "[::1]",
        "https://example.com",
        "host:7432/path",
        "two words:7432",
      })
  void whatIsNoAddressIsRefused(String target) {
    String said =
        assertThrows(IllegalArgumentException.class, () -> Target.of(target)).getMessage();
    assertTrue(said.startsWith("target"), said);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"postgresql://me:hunter2@db/x", "me:hunter2@host:7432", "tls://me:hunter2@h:1"})
  void aPasswordIsNeverShown(String target) {
    String said =
        assertThrows(IllegalArgumentException.class, () -> Target.of(target)).getMessage();
    assertFalse(said.contains("hunter2"), said);
  }
}
