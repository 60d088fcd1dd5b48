package millrace.kernel.avro;

import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Name the SQL type that holds an Avro type, apart from nullability: two records must agree on it.
 */
final class SqlTypes {
  private SqlTypes() {}

  /** Return the type as SQL writes it; a record within itself goes by its name. */
  static String of(AvroSchema declared) {
    return of(declared, new HashSet<>());
  }

  private static String of(AvroSchema declared, Set<String> within) {
    AvroSchema schema = declared.value();
    return switch (schema.type) {
      case BOOLEAN -> "BOOLEAN";
      case INT ->
          switch (schema.logicalType) {
            case "date" -> "DATE";
            case "time-millis" -> "TIME";
            default -> "INT";
          };
      case LONG -> {
        int digits = Timestamps.digits(schema.logicalType);
        yield digits > 0 ? "TIMESTAMP(" + digits + ")" : "BIGINT";
      }
      case FLOAT -> "FLOAT";
      case DOUBLE -> "DOUBLE";
      case STRING, ENUM -> "STRING";
      case BYTES, FIXED -> "BYTES";
      case ARRAY -> "ARRAY<" + of(schema.items, within) + ">";
      case MAP -> "MAP<STRING, " + of(schema.items, within) + ">";
      case RECORD -> row(schema, within);
      case NULL, UNION -> schema.toString();
    };
  }

  private static String row(AvroSchema schema, Set<String> within) {
    if (!within.add(schema.name)) {
      return schema.name;
    }
    String fields =
        schema.fields.stream()
            .map(field -> field.name() + " " + of(field.schema(), within))
            .collect(Collectors.joining(", "));
    within.remove(schema.name);
    return "ROW<" + fields + ">";
  }
}
