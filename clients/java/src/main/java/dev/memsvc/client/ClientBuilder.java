package dev.memsvc.client;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptor;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** Makes a {@link MemsvcClient}. What is not given, the environment may say: {@code MEMSVC_…}. */
public final class ClientBuilder {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final List<ClientInterceptor> interceptors = new ArrayList<>();
  private String target;
  private String namespace = "";
  private String token;
  private boolean tls;
  private Path caFile;
  private Path certificateFile;
  private Path keyFile;
  private ChannelCredentials credentials;
  private Duration timeout = Duration.ofSeconds(10);
  private Duration contextTimeout = Duration.ofSeconds(3);
  private boolean contextOrEmpty;
  private boolean waitForReady = true;

  ClientBuilder() {}

  /**
   * Where the server is: {@code unix:///run/memsvc/memsvc.sock}, {@code host:port}, or {@code
   * tls://host:port}.
   */
  public ClientBuilder target(String target) {
    this.target = target;
    return this;
  }

  /** The tenant or application; empty: the only one of the token, else "default". */
  public ClientBuilder namespace(String namespace) {
    this.namespace = namespace;
    return this;
  }

  /**
   * Sent with every call; default: MEMSVC_TOKEN. Without TLS, whoever is on the way can read it.
   */
  public ClientBuilder token(String token) {
    this.token = token;
    return this;
  }

  /** Speak TLS, as {@code tls://} before the target does. */
  public ClientBuilder tls() {
    this.tls = true;
    return this;
  }

  /** Speak TLS; a PEM file says who signs the server's certificate. Default: MEMSVC_CA_FILE. */
  public ClientBuilder tls(Path caFile) {
    this.caFile = caFile;
    return tls();
  }

  /**
   * Show a certificate of one's own, from PEM files. Default: MEMSVC_CLIENT_CERTIFICATE_FILE and
   * MEMSVC_CLIENT_KEY_FILE.
   */
  public ClientBuilder certificate(Path certificateFile, Path keyFile) {
    this.certificateFile = certificateFile;
    this.keyFile = keyFile;
    return tls();
  }

  /** Credentials of gRPC, in place of those files. */
  public ClientBuilder credentials(ChannelCredentials credentials) {
    this.credentials = credentials;
    return this;
  }

  /** After how long a call ends that is not told otherwise: 10 s. */
  public ClientBuilder timeout(Duration timeout) {
    this.timeout = Subject.positive("timeout", timeout);
    return this;
  }

  /** After how long {@code context} ends, which a user waits for: 3 s. */
  public ClientBuilder contextTimeout(Duration contextTimeout) {
    this.contextTimeout = Subject.positive("contextTimeout", contextTimeout);
    return this;
  }

  /** Whether a context is empty, and no failure, where the service is down. Default: no. */
  public ClientBuilder contextOrEmpty(boolean contextOrEmpty) {
    this.contextOrEmpty = contextOrEmpty;
    return this;
  }

  /**
   * Whether a call that finds no server looks for it until its deadline, so that it outlives a
   * restart (the default), or fails after five attempts, in a second or two.
   */
  public ClientBuilder waitForReady(boolean waitForReady) {
    this.waitForReady = waitForReady;
    return this;
  }

  /** What sees every call: OpenTelemetry's, for example. */
  public ClientBuilder intercept(ClientInterceptor interceptor) {
    interceptors.add(interceptor);
    return this;
  }

  /** The client. It connects with its first call. */
  public MemsvcClient build() {
    Target chosen = Target.of(target);
    List<ClientInterceptor> all = new ArrayList<>(interceptors);
    String sent = given(token, "MEMSVC_TOKEN");
    if (sent != null) {
      if (!sent.chars().allMatch(each -> each > ' ' && each < 127)) {
        throw new IllegalArgumentException("token must be printable ASCII: has it a line's end?");
      }
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + sent);
      all.add(MetadataUtils.newAttachHeadersInterceptor(headers));
    }
    Defaults defaults = new Defaults(timeout, contextTimeout, contextOrEmpty, waitForReady);
    return new MemsvcClient(
        new Connection(Channels.open(chosen, credentials(chosen), all), defaults),
        namespace,
        target);
  }

  private ChannelCredentials credentials(Target chosen) {
    if (credentials != null) {
      return credentials;
    }
    if (!tls && !chosen.tls()) {
      return InsecureChannelCredentials.create();
    }
    String ca = given(text(caFile), "MEMSVC_CA_FILE");
    String certificate = given(text(certificateFile), "MEMSVC_CLIENT_CERTIFICATE_FILE");
    String key = given(text(keyFile), "MEMSVC_CLIENT_KEY_FILE");
    if ((certificate == null) != (key == null)) {
      throw new IllegalArgumentException("certificate and key go together: one of them is missing");
    }
    TlsChannelCredentials.Builder builder = TlsChannelCredentials.newBuilder();
    try {
      if (ca != null) {
        builder.trustManager(Path.of(ca).toFile());
      }
      if (certificate != null) {
        builder.keyManager(Path.of(certificate).toFile(), Path.of(key).toFile());
      }
    } catch (IOException error) {
      throw new IllegalArgumentException("cannot read " + error.getMessage(), error);
    }
    return builder.build();
  }

  private static String text(Path path) {
    return path == null ? null : path.toString();
  }

  private static String given(String value, String variable) {
    String chosen = value == null ? System.getenv(variable) : value;
    return chosen == null || chosen.isEmpty() ? null : chosen;
  }
}
