package millrace.kernel.avro;

import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

/** Check which column types hold which Avro types, when a table is planned. */
final class Columns {
  private Columns() {}

  /**
   * Return the field of this name.
   *
   * @throws ValidationException if the record has none
   */
  static AvroSchema.Field field(AvroSchema record, String column) {
    AvroSchema.Field field = record.field(column);
    if (field == null) {
      throw new ValidationException("Column '" + column + "' is no field of " + record.name);
    }
    return field;
  }

  /**
   * Check that every column can hold the field of its name.
   *
   * @throws ValidationException naming a column that cannot
   */
  static void check(AvroSchema schema, RowType columns) {
    if (schema.type != AvroSchema.Type.RECORD) {
      throw new ValidationException("The schema must be a record, not " + schema);
    }
    for (RowType.RowField column : columns.getFields()) {
      check(field(schema, column.getName()).schema(), column.getType(), column.getName());
    }
  }

  /**
   * Check that every field that must not be null has a column to come from.
   *
   * @throws ValidationException naming a field that has none
   */
  static void checkComplete(AvroSchema schema, RowType columns) {
    for (AvroSchema.Field field : schema.fields) {
      int column = columns.getFieldIndex(field.name());
      if (column >= 0) {
        checkComplete(field.schema().value(), columns.getTypeAt(column));
      } else if (!field.schema().isNullable()) {
        throw new ValidationException(
            "No column for field '" + field.name() + "' of " + schema.name);
      }
    }
  }

  private static void checkComplete(AvroSchema schema, LogicalType column) {
    if (column instanceof RowType row) {
      checkComplete(schema, row);
    } else if (column instanceof ArrayType array) {
      checkComplete(schema.items.value(), array.getElementType());
    } else if (column instanceof MapType map) {
      checkComplete(schema.items.value(), map.getValueType());
    }
  }

  /**
   * Check that a column can hold a field.
   *
   * @throws ValidationException naming the column, {@code where}, if it cannot
   */
  static void check(AvroSchema declared, LogicalType column, String where) {
    AvroSchema schema = declared.value();
    LogicalTypeRoot root = column.getTypeRoot();
    boolean fits =
        switch (schema.type) {
          case BOOLEAN -> root == LogicalTypeRoot.BOOLEAN;
          case INT ->
              switch (schema.logicalType) {
                case "date" -> root == LogicalTypeRoot.DATE;
                case "time-millis" -> root == LogicalTypeRoot.TIME_WITHOUT_TIME_ZONE;
                default -> root == LogicalTypeRoot.INTEGER;
              };
          case LONG -> root == LogicalTypeRoot.BIGINT || isTimestamp(schema, column);
          case FLOAT -> root == LogicalTypeRoot.FLOAT;
          case DOUBLE -> root == LogicalTypeRoot.DOUBLE;
          case STRING, ENUM -> root == LogicalTypeRoot.VARCHAR;
          case BYTES, FIXED ->
              root == LogicalTypeRoot.VARBINARY && !schema.logicalType.equals("decimal");
          case ARRAY, MAP, RECORD -> nested(schema, column, where);
          case NULL, UNION -> false;
        };
    if (!fits) {
      throw new ValidationException(
          "Column '"
              + where
              + "' of type "
              + column.asSummaryString()
              + " can't hold Avro's "
              + schema);
    }
  }

  private static boolean isTimestamp(AvroSchema schema, LogicalType column) {
    LogicalTypeRoot root = column.getTypeRoot();
    boolean timestamp =
        root == LogicalTypeRoot.TIMESTAMP_WITHOUT_TIME_ZONE
            || root == LogicalTypeRoot.TIMESTAMP_WITH_LOCAL_TIME_ZONE;
    int digits = Timestamps.digits(schema.logicalType);
    return timestamp && digits > 0 && LogicalTypeChecks.getPrecision(column) >= digits;
  }

  private static boolean nested(AvroSchema schema, LogicalType column, String where) {
    if (schema.type == AvroSchema.Type.ARRAY && column instanceof ArrayType array) {
      check(schema.items, array.getElementType(), where + "[]");
      return true;
    }
    if (schema.type == AvroSchema.Type.MAP
        && column instanceof MapType map
        && map.getKeyType().is(LogicalTypeRoot.VARCHAR)) {
      check(schema.items, map.getValueType(), where + "{}");
      return true;
    }
    if (schema.type == AvroSchema.Type.RECORD && column instanceof RowType row) {
      check(schema, row);
      return true;
    }
    return false;
  }
}
