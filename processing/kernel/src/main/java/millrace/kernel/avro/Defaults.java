package millrace.kernel.avro;

import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;

/** A field's default, JSON in the schema, as a column's value. */
final class Defaults {
  private Defaults() {}

  static Object value(AvroSchema declared, LogicalType column, JsonNode json) {
    if (json.isNull()) {
      return null;
    }
    AvroSchema schema = declared.value();
    return switch (schema.type) {
      case BOOLEAN -> json.asBoolean();
      case INT -> json.asInt();
      case LONG ->
          column.is(LogicalTypeRoot.BIGINT)
              ? (Object) json.asLong()
              : Timestamps.fromLong(json.asLong(), Timestamps.digits(schema.logicalType));
      case FLOAT -> (float) json.asDouble();
      case DOUBLE -> json.asDouble();
      case STRING, ENUM -> StringData.fromString(json.asText());
      case BYTES, FIXED -> json.asText().getBytes(StandardCharsets.ISO_8859_1);
      case ARRAY -> array(schema, (ArrayType) column, json);
      case MAP -> map(schema, (MapType) column, json);
      case RECORD -> row(schema, (RowType) column, json);
      case NULL, UNION -> null;
    };
  }

  private static Object array(AvroSchema schema, ArrayType column, JsonNode json) {
    Object[] items = new Object[json.size()];
    for (int i = 0; i < items.length; i++) {
      items[i] = value(schema.items, column.getElementType(), json.get(i));
    }
    return new GenericArrayData(items);
  }

  private static Object map(AvroSchema schema, MapType column, JsonNode json) {
    Map<Object, Object> entries = new HashMap<>();
    for (Map.Entry<String, JsonNode> entry : json.properties()) {
      Object item = value(schema.items, column.getValueType(), entry.getValue());
      entries.put(StringData.fromString(entry.getKey()), item);
    }
    return new GenericMapData(entries);
  }

  private static Object row(AvroSchema schema, RowType column, JsonNode json) {
    GenericRowData row = new GenericRowData(column.getFieldCount());
    for (int i = 0; i < column.getFieldCount(); i++) {
      AvroSchema.Field field = Columns.field(schema, column.getFieldNames().get(i));
      JsonNode given = json.has(field.name()) ? json.get(field.name()) : field.fallback();
      row.setField(i, given == null ? null : value(field.schema(), column.getTypeAt(i), given));
    }
    return row;
  }
}
