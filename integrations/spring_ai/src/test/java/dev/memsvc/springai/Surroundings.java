package dev.memsvc.springai;

import dev.memsvc.client.MemsvcClient;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** A server of memsvc on SQLite, and a scripted model that speaks OpenAI's HTTP API. */
final class Surroundings implements AutoCloseable {
  private static final Path PYTHON = Path.of("../../.venv/bin/python").toAbsolutePath().normalize();

  private final Process server;
  private final Process model;
  final String target;
  final String baseUrl;

  Surroundings(Path folder) throws IOException {
    target = "unix://" + folder.resolve("memsvc.sock");
    String storage = "sqlite:///" + folder.resolve("memory.db");
    server =
        started(
            folder,
            List.of("-m", "memsvc", "serve", "--listen", target, "--storage-url", storage),
            List.of("--engine", "rules", "--embedder", "none", "--quiet-seconds", "0"));
    model = started(folder, List.of("-m", "memsvc.testing.fake_openai"), List.of("--agent"));
    baseUrl = model.inputReader().readLine();
    try (MemsvcClient client = client()) {
      client.serverInfo();
    }
  }

  /** A client with the patience that a busy machine asks for. */
  MemsvcClient client() {
    Duration patience = Duration.ofMinutes(2);
    return MemsvcClient.builder().target(target).timeout(patience).contextTimeout(patience).build();
  }

  /** What the model was asked, as JSON that lists the requests. */
  String asked() throws IOException, InterruptedException {
    return send(HttpRequest.newBuilder().GET());
  }

  void forget() throws IOException, InterruptedException {
    send(HttpRequest.newBuilder().DELETE());
  }

  private String send(HttpRequest.Builder request) throws IOException, InterruptedException {
    URI uri = URI.create(baseUrl.replaceFirst("/v1$", "/fake/requests"));
    var text = HttpResponse.BodyHandlers.ofString();
    return HttpClient.newHttpClient().send(request.uri(uri).build(), text).body();
  }

  @Override
  public void close() {
    for (Process each : List.of(server, model)) {
      each.destroy();
      int code = each.onExit().join().exitValue();
      if (code != 0) {
        throw new IllegalStateException(each.info() + " ended with " + code);
      }
    }
  }

  private static Process started(Path folder, List<String> what, List<String> how)
      throws IOException {
    ProcessBuilder builder = new ProcessBuilder();
    builder.command().add(PYTHON.toString());
    builder.command().addAll(what);
    builder.command().addAll(how);
    Path log = Files.createTempFile(folder, "process", ".log");
    return builder.redirectError(log.toFile()).start();
  }
}
