package millrace.kernel.spec;

import java.util.Arrays;
import java.util.Iterator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.StreamReadFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.DeserializationFeature;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.json.JsonMapper;

/**
 * Reads the JSON of a spec strictly. Each method throws {@link SpecException} naming what is wrong,
 * and where: {@code what}.
 */
public final class SpecJson {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private SpecJson() {}

  /** Return the root of {@code json}. */
  public static JsonNode parse(String json) {
    try {
      return JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new SpecException("spec is not JSON: " + e.getOriginalMessage());
    }
  }

  /** Refuse what is no object, or has another key than these. */
  public static void keys(JsonNode node, String what, String... known) {
    if (node == null || !node.isObject()) {
      throw new SpecException(what + ": is an object with " + String.join(", ", known));
    }
    for (Iterator<String> it = node.fieldNames(); it.hasNext(); ) {
      String key = it.next();
      if (!Arrays.asList(known).contains(key)) {
        throw new SpecException(
            what + ": unknown key '" + key + "', know " + String.join(", ", known));
      }
    }
  }

  /** Return a string that is not empty; null where it is not there and need not be. */
  public static String text(JsonNode node, String what, String key, boolean required) {
    JsonNode value = node.get(key);
    if (value == null && !required) {
      return null;
    }
    if (value == null || !value.isTextual() || value.textValue().isEmpty()) {
      throw new SpecException(
          what + ": " + key + " is a string" + (value == null ? "" : ", not " + value));
    }
    return value.textValue();
  }

  /** Refuse a spec of another version than 1. */
  public static void version(JsonNode root) {
    if (whole(root, "spec", "version") != 1) {
      throw new SpecException("spec: version is 1, not " + root.get("version"));
    }
  }

  /** Return a whole number. */
  public static long whole(JsonNode node, String what, String key) {
    JsonNode value = node.get(key);
    if (value == null || !value.isIntegralNumber() || !value.canConvertToLong()) {
      throw new SpecException(
          what + ": " + key + " is a whole number" + (value == null ? "" : ", not " + value));
    }
    return value.longValue();
  }
}
