package dev.memsvc.client;

import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.MessageOrBuilder;
import dev.memsvc.v1.KeyAddress;
import dev.memsvc.v1.Layer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.Consumer;

/** What requests are made of. */
final class Requests {
  private static final Set<String> NOT_IN_MASKS =
      Set.of("memory_id", "number", "scope", "layer", "key", "origin", "etag");

  private Requests() {}

  /** The options of a call that was given none. */
  static <B> Consumer<B> plain() {
    return request -> {};
  }

  /** A name for a write: sent again under it, it happens once. */
  static String newId() {
    return UUID.randomUUID().toString();
  }

  static Duration duration(com.google.protobuf.Duration wire) {
    return Duration.ofSeconds(wire.getSeconds(), wire.getNanos());
  }

  static com.google.protobuf.Duration duration(Duration given) {
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(given.getSeconds())
        .setNanos(given.getNano())
        .build();
  }

  static String named(String name, String value) {
    if (value == null || value.isEmpty()) {
      throw new IllegalArgumentException(name + " is empty");
    }
    return value;
  }

  static KeyAddress address(Layer layer, String key) {
    return KeyAddress.newBuilder().setLayer(layer).setKey(named("key", key)).build();
  }

  /** The paths of the fields of a memory that are set and can be changed. */
  static List<String> memoryPaths(MessageOrBuilder memory) {
    return memory.getAllFields().keySet().stream()
        .map(FieldDescriptor::getName)
        .filter(name -> !NOT_IN_MASKS.contains(name))
        .toList();
  }

  /** The paths of all settings that are set: {@code mode}, {@code policy.prompt}. */
  static List<String> settingPaths(MessageOrBuilder settings) {
    List<String> paths = new ArrayList<>();
    settings
        .getAllFields()
        .forEach(
            (field, value) -> {
              if (isPartOfSettings(field)) {
                settingPaths((MessageOrBuilder) value)
                    .forEach(path -> paths.add(field.getName() + "." + path));
              } else {
                paths.add(field.getName());
              }
            });
    return paths;
  }

  private static boolean isPartOfSettings(FieldDescriptor field) {
    return field.getJavaType() == FieldDescriptor.JavaType.MESSAGE
        && field.getMessageType().getFile().getPackage().equals("memsvc.v1");
  }
}
