package dev.memsvc.contract;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import dev.memsvc.client.Context;
import dev.memsvc.client.ExtractionFailedException;
import dev.memsvc.client.FieldViolation;
import dev.memsvc.client.MemsvcException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;

/** What this client takes and gives, as the contract writes it: protojson. */
final class Forms {
  private static final Gson GSON = new Gson();

  private Forms() {}

  /** The argument of this name; empty where it is not given. */
  static String text(JsonObject args, String name) {
    return args.has(name) && !args.get(name).isJsonNull() ? args.get(name).getAsString() : "";
  }

  static boolean flag(JsonObject args, String name, boolean otherwise) {
    return args.has(name) ? args.get(name).getAsBoolean() : otherwise;
  }

  static Duration seconds(JsonObject args, String name) {
    return Duration.ofNanos((long) (args.get(name).getAsDouble() * 1e9));
  }

  static com.google.protobuf.Duration wireSeconds(JsonObject args, String name) {
    Duration duration = seconds(args, name);
    return com.google.protobuf.Duration.newBuilder()
        .setSeconds(duration.getSeconds())
        .setNanos(duration.getNano())
        .build();
  }

  /** Put the arguments of these names, which a message has too, into it. */
  static void merge(JsonObject args, Message.Builder message, String... names) {
    JsonObject own = new JsonObject();
    for (String name : names) {
      if (args.has(name)) {
        own.add(name, args.get(name));
      }
    }
    merge(own, message);
  }

  /** Put an argument into a message under another name. */
  static void mergeAs(JsonObject args, Message.Builder message, String name, String as) {
    if (args.has(name)) {
      JsonObject own = new JsonObject();
      own.add(as, args.get(name));
      merge(own, message);
    }
  }

  static void merge(JsonElement given, Message.Builder message) {
    // What the client has set by default gives way.
    for (FieldDescriptor field : message.getDescriptorForType().getFields()) {
      if (given.getAsJsonObject().has(field.getJsonName())
          && field.getJavaType() != FieldDescriptor.JavaType.MESSAGE) {
        message.clearField(field);
      }
    }
    try {
      JsonFormat.parser().merge(GSON.toJson(given), message);
    } catch (InvalidProtocolBufferException error) {
      throw new IllegalArgumentException(error.getMessage(), error);
    }
  }

  /** The messages in an argument that is a list. */
  static <B extends Message.Builder> List<B> list(
      JsonObject args, String name, Supplier<B> builder) {
    List<B> listed = new ArrayList<>();
    if (args.has(name)) {
      for (JsonElement each : args.getAsJsonArray(name)) {
        B message = builder.get();
        merge(each, message);
        listed.add(message);
      }
    }
    return listed;
  }

  static List<String> texts(JsonObject args, String name) {
    List<String> texts = new ArrayList<>();
    if (args.has(name)) {
      args.getAsJsonArray(name).forEach(each -> texts.add(each.getAsString()));
    }
    return texts;
  }

  static JsonElement json(Object value) {
    return GSON.toJsonTree(value);
  }

  static JsonElement shown(Object value) {
    if (value instanceof JsonElement json) {
      return json;
    }
    if (value instanceof Context context) {
      JsonObject shown = shown(context.response()).getAsJsonObject();
      context.failure().ifPresent(failure -> shown.add("failure", failed(failure)));
      return shown;
    }
    if (value instanceof MessageOrBuilder message) {
      try {
        return JsonParser.parseString(JsonFormat.printer().print(message));
      } catch (InvalidProtocolBufferException error) {
        throw new IllegalStateException(error);
      }
    }
    return new JsonPrimitive(String.valueOf(value));
  }

  static JsonObject failed(MemsvcException failure) {
    JsonObject error = new JsonObject();
    error.addProperty(
        "code",
        failure instanceof ExtractionFailedException ? "EXTRACTION_FAILED" : failure.code().name());
    error.addProperty("reason", failure.reason());
    error.addProperty("message", failure.description());
    JsonArray fields = new JsonArray();
    failure.fields().stream().map(FieldViolation::field).forEach(fields::add);
    error.add("fields", fields);
    error.add("metadata", GSON.toJsonTree(failure.metadata()));
    failure
        .retryAfter()
        .ifPresent(after -> error.addProperty("retryAfterSeconds", after.toNanos() / 1e9));
    return error;
  }
}
