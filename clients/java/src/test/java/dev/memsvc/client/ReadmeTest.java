package dev.memsvc.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Every example of the README compiles, and runs against a real server. */
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class ReadmeTest {
  private static final String CLIENT = "MemsvcClient.to(\"unix:///run/memsvc/memsvc.sock\")";

  /** The same of the test's server, with the patience that a busy machine asks for. */
  private static final String PATIENT_CLIENT =
      "MemsvcClient.builder().target(\"%s\").timeout(Duration.ofMinutes(2))"
          + ".contextTimeout(Duration.ofMinutes(2)).build()";

  @Test
  void theExamplesRun(@TempDir Path folder) throws Exception {
    List<String> examples = examples();
    assertFalse(examples.isEmpty());
    try (Sidecar sidecar = Sidecar.start()) {
      for (int at = 0; at < examples.size(); at++) {
        assertTrue(at > 0 || examples.get(at).contains(CLIENT));
        Path source = folder.resolve("Example" + at + ".java");
        String example =
            examples.get(at).replace(CLIENT, PATIENT_CLIENT.formatted(sidecar.target()));
        Files.writeString(source, program(at, example));
      }
      compile(folder, examples.size());
      run(folder, examples.size());
    }
  }

  private static List<String> examples() throws IOException {
    return Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
        .matcher(Files.readString(Path.of("README.md")))
        .results()
        .map(found -> found.group(1))
        .toList();
  }

  /** A program of an example: its imports, and the rest as the body of main. */
  private static String program(int at, String example) {
    String imports =
        example
            .lines()
            .filter(line -> line.startsWith("import "))
            .collect(Collectors.joining("\n"));
    String body =
        example
            .lines()
            .filter(line -> !line.startsWith("import "))
            .collect(Collectors.joining("\n"));
    return """
        import dev.memsvc.client.*;
        import dev.memsvc.v1.*;
        import java.time.Duration;
        import java.util.List;
        %s
        public class Example%d {
          public static void main(String[] arguments) throws Exception {
        %s
          }
        }
        """
        .formatted(imports, at, body);
  }

  private static void compile(Path folder, int count) throws IOException {
    var compiler = ToolProvider.getSystemJavaCompiler();
    StringWriter said = new StringWriter();
    try (var files = compiler.getStandardFileManager(null, null, null)) {
      var sources =
          files.getJavaFileObjectsFromPaths(
              IntStream.range(0, count)
                  .mapToObj(at -> folder.resolve("Example" + at + ".java"))
                  .toList());
      List<String> options =
          List.of(
              "-d", folder.toString(), "-proc:none", "-cp", System.getProperty("java.class.path"));
      boolean compiled = compiler.getTask(said, files, null, options, null, sources).call();
      assertEquals(true, compiled, said.toString());
    }
  }

  private static void run(Path folder, int count) throws Exception {
    URL[] classes = {folder.toUri().toURL()};
    try (URLClassLoader loader = new URLClassLoader(classes, ReadmeTest.class.getClassLoader())) {
      for (int at = 0; at < count; at++) {
        try {
          loader
              .loadClass("Example" + at)
              .getMethod("main", String[].class)
              .invoke(null, (Object) new String[0]);
        } catch (InvocationTargetException failed) {
          throw new AssertionError("example " + at + " of the README", failed.getCause());
        }
      }
    }
  }
}
