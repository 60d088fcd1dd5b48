package millrace.kernel.avro;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.types.logical.RowType;

/**
 * The record schemas that a table reads: one, or several that share a topic. The table's columns
 * are the union of their fields by name.
 */
final class Contracts {
  private static final ObjectMapper JSON = new ObjectMapper();

  final List<AvroSchema> records;

  private Contracts(List<AvroSchema> records) {
    this.records = records;
  }

  /**
   * Parse the text of each contract.
   *
   * @throws IllegalArgumentException if one is not an Avro schema, or if there are several and one
   *     is not a record or two answer to the same name
   */
  static Contracts of(List<String> texts) {
    List<AvroSchema> records = texts.stream().map(AvroSchema::parse).toList();
    if (records.size() > 1) {
      requireNames(records);
    }
    return new Contracts(records);
  }

  /**
   * Split a JSON array of schemas into their texts.
   *
   * @throws IllegalArgumentException if {@code json} is not an array with at least one item
   */
  static List<String> split(String json) {
    JsonNode array;
    try {
      array = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException("no JSON: " + e.getOriginalMessage());
    }
    if (!array.isArray() || array.isEmpty()) {
      throw new IllegalArgumentException("no JSON array of record schemas");
    }
    List<String> texts = new ArrayList<>();
    array.forEach(schema -> texts.add(schema.toString()));
    return List.copyOf(texts);
  }

  private static void requireNames(List<AvroSchema> records) {
    Set<String> names = new HashSet<>();
    Set<String> aliases = new HashSet<>();
    for (AvroSchema record : records) {
      if (record.type != AvroSchema.Type.RECORD) {
        throw new IllegalArgumentException(record + " is no record");
      }
      if (!names.add(record.shortName())) {
        throw new IllegalArgumentException("two records are named " + record.shortName());
      }
    }
    for (AvroSchema record : records) {
      for (String alias : record.aliases) {
        String name = AvroSchema.unqualified(alias);
        boolean own = name.equals(record.shortName());
        if (!own && (names.contains(name) || !aliases.add(name))) {
          throw new IllegalArgumentException("two records answer to the name " + name);
        }
      }
    }
  }

  /**
   * Choose the contract that a writer's records are read as: the only one, else the one of the
   * writer's name (namespaces apart), which may be one of its aliases.
   *
   * @throws Unreadable incompatible_schema if none has that name
   */
  AvroSchema choose(AvroSchema writer) {
    if (records.size() == 1) {
      return records.get(0);
    }
    for (AvroSchema record : records) {
      if (record.answersTo(writer.shortName())) {
        return record;
      }
    }
    String known = records.stream().map(r -> r.name).collect(Collectors.joining(", "));
    throw Unreadable.incompatible("a " + writer.name + ", none of " + known);
  }

  /**
   * Check that the columns can hold the fields of their names.
   *
   * @throws ValidationException naming the column that is in no record, has two types or does not
   *     fit
   */
  void check(RowType columns) {
    if (records.size() == 1) {
      Columns.check(records.get(0), columns);
      return;
    }
    for (RowType.RowField column : columns.getFields()) {
      check(column);
    }
  }

  private void check(RowType.RowField column) {
    List<AvroSchema> having =
        records.stream().filter(record -> record.field(column.getName()) != null).toList();
    if (having.isEmpty()) {
      String known =
          records.stream().map(record -> record.name).collect(Collectors.joining(" or "));
      throw new ValidationException("Column '" + column.getName() + "' is no field of " + known);
    }
    String type = null;
    for (AvroSchema record : having) {
      String other = SqlTypes.of(record.field(column.getName()).schema());
      if (type != null && !type.equals(other)) {
        throw new ValidationException(
            "Column '%s' is %s in %s and %s in %s"
                .formatted(column.getName(), type, having.get(0).name, other, record.name));
      }
      type = other;
    }
    for (AvroSchema record : having) {
      Columns.check(record.field(column.getName()).schema(), column.getType(), column.getName());
    }
  }
}
