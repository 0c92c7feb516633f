package dev.memsvc.client;

import java.net.InetAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;

/**
 * Where a server is. What is refused is never shown: it may be a database's URL, with a password.
 *
 * @param address as gRPC takes it
 * @param socket whether it is a unix socket
 * @param tls whether it was written with {@code tls://}
 * @param local whether it is on this machine: nothing there is reached through a proxy
 */
record Target(String address, boolean socket, boolean tls, boolean local) {
  private static final String FORMS =
      "\"unix:///run/memsvc/memsvc.sock\", \"127.0.0.1:7432\" or \"tls://memory.example.com:7432\"";
  private static final int MAX_SOCKET_PATH_BYTES = 107;
  private static final Set<String> DATABASES =
      Set.of(
          "sqlite",
          "postgres",
          "postgresql",
          "redis",
          "rediss",
          "mongodb",
          "mongodb+srv",
          "memory");

  static Target of(String target) {
    if (target == null || target.isEmpty()) {
      throw new IllegalArgumentException("target is empty: write " + FORMS);
    }
    if (target.chars().anyMatch(each -> each <= ' ' || Character.isISOControl(each))) {
      throw new IllegalArgumentException(
          "target holds spaces or what cannot be printed: write " + FORMS);
    }
    if (target.startsWith("unix:")) {
      return socket(target.substring("unix:".length()));
    }
    boolean tls = target.startsWith("tls://");
    String host = tls ? target.substring("tls://".length()) : target;
    if (host.startsWith("dns:///")) {
      host = host.substring("dns:///".length());
    }
    if (host.contains("://")) {
      throw new IllegalArgumentException(otherScheme(host));
    }
    if (host.startsWith("/") || host.startsWith(".") || host.startsWith("~")) {
      throw new IllegalArgumentException(
          "target is a path: for a socket write \"unix://\" and its absolute path, as " + FORMS);
    }
    checkHostAndPort(host);
    return new Target("dns:///" + host, false, tls, isLoopback(host));
  }

  private static Target socket(String rest) {
    String path = rest.startsWith("//") ? rest.substring(2) : rest;
    if (!path.startsWith("/")) {
      throw new IllegalArgumentException(
          "target: a socket is named by its absolute path, with three slashes; write " + FORMS);
    }
    if (path.getBytes(StandardCharsets.UTF_8).length > MAX_SOCKET_PATH_BYTES) {
      throw new IllegalArgumentException(
          "target: a socket's path has at most " + MAX_SOCKET_PATH_BYTES + " bytes");
    }
    try {
      String encoded = new URI(null, null, path, null).getRawPath();
      return new Target("unix://" + encoded, true, false, true);
    } catch (URISyntaxException error) {
      throw new IllegalArgumentException("target names no socket: write " + FORMS, error);
    }
  }

  private static String otherScheme(String target) {
    String scheme = target.substring(0, target.indexOf("://")).toLowerCase(Locale.ROOT);
    if (DATABASES.contains(scheme)) {
      return "target is a database, and a client speaks to a server: start `memsvc serve"
          + " --storage-url ...` with that URL and write the server's address, "
          + FORMS;
    }
    if (scheme.equals("https") || scheme.equals("grpcs")) {
      return "target is no URL: write \"tls://host:port\" for TLS; " + FORMS;
    }
    return "target is no URL: write " + FORMS;
  }

  private static void checkHostAndPort(String target) {
    if (target.contains("@")) {
      throw new IllegalArgumentException(
          "target holds a user or password: write host:port, and token(...) instead");
    }
    if (target.contains("/")) {
      throw new IllegalArgumentException("target has a path: write host:port alone; " + FORMS);
    }
    int colon = target.lastIndexOf(':');
    if (target.indexOf(':') != colon && !target.startsWith("[")) {
      throw new IllegalArgumentException(
          "target: an IPv6 address stands in brackets, \"[::1]:7432\"");
    }
    if (colon < 1 || target.endsWith("]")) {
      throw new IllegalArgumentException("target names no host or no port: write " + FORMS);
    }
    String port = target.substring(colon + 1);
    if (!port.matches("[0-9]{1,5}")
        || Integer.parseInt(port) < 1
        || Integer.parseInt(port) > 65_535) {
      throw new IllegalArgumentException(
          "target: the port must be a number from 1 to 65535; " + FORMS);
    }
  }

  private static boolean isLoopback(String hostAndPort) {
    String host = hostAndPort.substring(0, hostAndPort.lastIndexOf(':')).toLowerCase(Locale.ROOT);
    if (host.equals("localhost") || host.endsWith(".localhost")) {
      return true;
    }
    if (!host.startsWith("[") && !host.matches("[0-9.]+")) {
      return false;
    }
    try {
      // An address in digits: nothing is resolved.
      InetAddress address = InetAddress.getByName(host);
      return address.isLoopbackAddress() || address.isAnyLocalAddress();
    } catch (UnknownHostException malformed) {
      return false;
    }
  }
}
