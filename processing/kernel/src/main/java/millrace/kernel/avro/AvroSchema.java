package millrace.kernel.avro;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** The parts of an Avro schema that reading and writing need. */
final class AvroSchema {
  enum Type {
    NULL,
    BOOLEAN,
    INT,
    LONG,
    FLOAT,
    DOUBLE,
    BYTES,
    STRING,
    RECORD,
    ENUM,
    FIXED,
    ARRAY,
    MAP,
    UNION
  }

  /** A record's field; {@code fallback} is its default as JSON, null if it has none. */
  record Field(
      String name, AvroSchema schema, JsonNode fallback, List<String> aliases, int minLength) {}

  private static final ObjectMapper JSON = new ObjectMapper();

  final Type type;

  /** The full name of a record, enum or fixed, else the type's name. */
  final String name;

  /** Empty if the schema names none. */
  String logicalType = "";

  List<String> aliases = List.of();
  List<Field> fields = List.of();
  String[] symbols = {};
  String enumDefault;
  int size;

  /** Items of an array, values of a map. */
  AvroSchema items;

  List<AvroSchema> branches = List.of();

  private AvroSchema(Type type, String name) {
    this.type = type;
    this.name = name;
  }

  /**
   * Parse a schema.
   *
   * @throws IllegalArgumentException if the text is not an Avro schema
   */
  static AvroSchema parse(String text) {
    try {
      return new Parser().parse(JSON.readTree(text), "");
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("no JSON: " + e.getOriginalMessage());
    } catch (StackOverflowError e) {
      throw new IllegalArgumentException("nested too deeply");
    }
  }

  /** The name without its namespace. */
  String shortName() {
    return unqualified(name);
  }

  static String unqualified(String name) {
    return name.substring(name.lastIndexOf('.') + 1);
  }

  /** Whether a writer's record, enum or fixed of this unqualified name is read as this one. */
  boolean answersTo(String shortName) {
    return shortName().equals(shortName)
        || aliases.stream().anyMatch(alias -> unqualified(alias).equals(shortName));
  }

  /** Return the record's field of that name, or null. */
  Field field(String name) {
    for (Field field : fields) {
      if (field.name().equals(name)) {
        return field;
      }
    }
    return null;
  }

  boolean isNullable() {
    return type == Type.NULL || branches.stream().anyMatch(branch -> branch.type == Type.NULL);
  }

  /** The one branch that is not null of a union with at most one such; this itself otherwise. */
  AvroSchema value() {
    if (type != Type.UNION) {
      return this;
    }
    List<AvroSchema> values = branches.stream().filter(branch -> branch.type != Type.NULL).toList();
    return values.size() == 1 ? values.get(0) : this;
  }

  @Override
  public String toString() {
    return logicalType.isEmpty() ? name : name + " (" + logicalType + ")";
  }

  private static final class Parser {
    private final Map<String, AvroSchema> named = new HashMap<>();

    AvroSchema parse(JsonNode node, String namespace) {
      if (node.isTextual()) {
        return byName(node.textValue(), namespace);
      }
      if (node.isArray()) {
        return union(node, namespace);
      }
      if (!node.isObject() || !node.has("type")) {
        throw new IllegalArgumentException("no type in " + excerpt(node));
      }
      JsonNode type = node.get("type");
      if (!type.isTextual()) {
        return parse(type, namespace);
      }
      AvroSchema schema =
          switch (type.textValue()) {
            case "record", "error" -> record(node, namespace);
            case "enum" -> enumeration(node, namespace);
            case "fixed" -> fixed(node, namespace);
            case "array" -> container(Type.ARRAY, node, "items", namespace);
            case "map" -> container(Type.MAP, node, "values", namespace);
            default -> byName(type.textValue(), namespace);
          };
      if (node.path("logicalType").isTextual()) {
        schema.logicalType = node.get("logicalType").textValue();
      }
      return schema;
    }

    private AvroSchema byName(String name, String namespace) {
      for (Type type : Type.values()) {
        if (type.compareTo(Type.STRING) <= 0 && type.name().toLowerCase(Locale.ROOT).equals(name)) {
          return new AvroSchema(type, name);
        }
      }
      AvroSchema known = named.get(qualified(name, namespace));
      if (known == null) {
        throw new IllegalArgumentException("unknown type \"" + name + "\"");
      }
      return known;
    }

    private AvroSchema union(JsonNode node, String namespace) {
      AvroSchema schema = new AvroSchema(Type.UNION, "union");
      List<AvroSchema> branches = new ArrayList<>();
      node.forEach(branch -> branches.add(parse(branch, namespace)));
      schema.branches = branches;
      return schema;
    }

    private AvroSchema container(Type type, JsonNode node, String key, String namespace) {
      AvroSchema schema = new AvroSchema(type, type.name().toLowerCase(Locale.ROOT));
      schema.items = parse(required(node, key), namespace);
      return schema;
    }

    private AvroSchema define(Type type, JsonNode node, String namespace) {
      String name = required(node, "name").asText();
      String own = node.path("namespace").isTextual() ? node.get("namespace").asText() : namespace;
      AvroSchema schema = new AvroSchema(type, qualified(name, own));
      if (named.put(schema.name, schema) != null) {
        throw new IllegalArgumentException("\"" + schema.name + "\" is defined twice");
      }
      schema.aliases = texts(node.path("aliases"));
      return schema;
    }

    private AvroSchema record(JsonNode node, String namespace) {
      AvroSchema schema = define(Type.RECORD, node, namespace);
      int dot = schema.name.lastIndexOf('.');
      String inner = dot < 0 ? "" : schema.name.substring(0, dot);
      List<Field> fields = new ArrayList<>();
      for (JsonNode field : required(node, "fields")) {
        fields.add(
            new Field(
                required(field, "name").asText(),
                parse(required(field, "type"), inner),
                field.get("default"),
                texts(field.path("aliases")),
                field.path("minLength").asInt(0)));
      }
      schema.fields = fields;
      return schema;
    }

    private AvroSchema enumeration(JsonNode node, String namespace) {
      AvroSchema schema = define(Type.ENUM, node, namespace);
      schema.symbols = texts(required(node, "symbols")).toArray(String[]::new);
      schema.enumDefault = node.path("default").isTextual() ? node.get("default").asText() : null;
      return schema;
    }

    private AvroSchema fixed(JsonNode node, String namespace) {
      AvroSchema schema = define(Type.FIXED, node, namespace);
      schema.size = required(node, "size").asInt(-1);
      if (schema.size < 0) {
        throw new IllegalArgumentException("fixed \"" + schema.name + "\" has no size");
      }
      return schema;
    }

    private static String qualified(String name, String namespace) {
      return name.indexOf('.') >= 0 || namespace.isEmpty() ? name : namespace + "." + name;
    }

    private static JsonNode required(JsonNode node, String key) {
      if (!node.has(key)) {
        throw new IllegalArgumentException("no \"" + key + "\" in " + excerpt(node));
      }
      return node.get(key);
    }

    private static List<String> texts(JsonNode node) {
      List<String> texts = new ArrayList<>();
      node.forEach(text -> texts.add(text.asText()));
      return texts;
    }

    private static String excerpt(JsonNode node) {
      String text = node.toString();
      return text.length() <= 80 ? text : text.substring(0, 80) + "…";
    }
  }
}
