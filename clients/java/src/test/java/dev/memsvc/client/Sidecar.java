package dev.memsvc.client;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** A server of memsvc on a SQLite file and a unix socket, which can be killed and started again. */
final class Sidecar implements AutoCloseable {
  private static final Duration START = Duration.ofSeconds(120);

  private final Path folder;
  private Process process;
  private boolean killed;

  private Sidecar(Path folder) {
    this.folder = folder;
  }

  /** Skips the test where there is no server: MEMSVC_BIN, or that of the checkout's .venv. */
  static Sidecar start() {
    Assumptions.assumeTrue(
        Files.isExecutable(program()), "no memsvc at " + program() + ": name one by MEMSVC_BIN");
    try {
      Sidecar sidecar = new Sidecar(Files.createTempDirectory("memsvc"));
      sidecar.run();
      return sidecar;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  String target() {
    return "unix://" + folder.resolve("memsvc.sock");
  }

  /** A client of it, whose calls may take what they need on a busy machine. */
  MemsvcClient client() {
    return builder().build();
  }

  ClientBuilder builder() {
    return MemsvcClient.builder()
        .target(target())
        .timeout(Duration.ofSeconds(60))
        .contextTimeout(Duration.ofSeconds(60));
  }

  /** SIGKILL. */
  void kill() {
    killed = true;
    process.destroyForcibly();
    waitFor();
  }

  /** Start it, on the same file and socket, and wait until it answers. */
  void run() throws IOException {
    killed = false;
    process =
        new ProcessBuilder(
                program().toString(),
                "serve",
                "--listen",
                target(),
                "--storage-url",
                "sqlite:///" + folder.resolve("memory.db"),
                "--engine",
                "rules",
                "--quiet-seconds",
                "0")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.appendTo(log()))
            .start();
    try (MemsvcClient client = MemsvcClient.builder().target(target()).timeout(START).build()) {
      client.serverInfo();
    } catch (MemsvcException failure) {
      throw new IllegalStateException(Files.readString(log().toPath()), failure);
    }
  }

  /** Let it end. Fails where it does not end well, or has ended by itself. */
  @Override
  public void close() {
    process.destroy();
    waitFor();
    String said;
    try (Stream<Path> files = Files.walk(folder)) {
      said = Files.readString(log().toPath());
      files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    if (process.exitValue() != 0 && !killed) {
      throw new IllegalStateException("exit code " + process.exitValue() + "\n" + said);
    }
  }

  private File log() {
    return folder.resolve("log").toFile();
  }

  private void waitFor() {
    try {
      if (!process.waitFor(30, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (InterruptedException interrupted) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  private static Path program() {
    String named = System.getenv("MEMSVC_BIN");
    return named == null || named.isEmpty()
        ? Path.of("../../.venv/bin/memsvc").toAbsolutePath().normalize()
        : Path.of(named);
  }
}
