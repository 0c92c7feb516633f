package dev.memsvc.client;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Values as JSON, and what is in it. */
final class Json {
  private static final Gson GSON =
      new GsonBuilder().disableHtmlEscaping().serializeNulls().create();

  private Json() {}

  static String of(Object value) {
    return GSON.toJson(value);
  }

  static JsonElement parse(String name, String json) {
    try {
      return JsonParser.parseString(json);
    } catch (JsonParseException error) {
      throw new IllegalArgumentException(name + " must be JSON: " + error.getMessage(), error);
    }
  }

  /** A value as one would say it: a list with commas, a string as it is. */
  static String spoken(JsonElement value) {
    if (value instanceof JsonPrimitive primitive && primitive.isString()) {
      return primitive.getAsString();
    }
    if (value instanceof JsonArray list) {
      return String.join(", ", list.asList().stream().map(Json::spoken).toList());
    }
    return GSON.toJson(value);
  }

  static Optional<JsonObject> object(JsonElement value) {
    return value instanceof JsonObject object ? Optional.of(object) : Optional.empty();
  }

  /** The objects in a list; none where it is no list. */
  static List<JsonObject> objects(JsonElement value) {
    List<JsonObject> found = new ArrayList<>();
    if (value instanceof JsonArray list) {
      list.forEach(each -> object(each).ifPresent(found::add));
    }
    return found;
  }

  /** A text in an object; empty where there is none. */
  static String text(JsonObject object, String name) {
    return object.get(name) instanceof JsonPrimitive primitive ? primitive.getAsString() : "";
  }
}
