package millrace.kernel.avro;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericFixed;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;

/** Is what we read what Apache Avro reads? */
final class Compare {
  private Compare() {}

  static void rows(GenericRecord expected, GenericRowData actual, RowType columns) {
    for (int i = 0; i < columns.getFieldCount(); i++) {
      String name = columns.getFieldNames().get(i);
      Schema schema = expected.getSchema().getField(name).schema();
      values(expected.get(name), actual.getField(i), schema, columns.getTypeAt(i), name);
    }
  }

  private static void values(
      Object expected, Object actual, Schema declared, LogicalType column, String where) {
    if (expected == null) {
      assertNull(actual, where);
      return;
    }
    Schema schema = declared;
    if (declared.isUnion()) {
      schema =
          declared.getTypes().stream()
              .filter(s -> s.getType() != Schema.Type.NULL)
              .findFirst()
              .orElseThrow();
    }
    switch (schema.getType()) {
      case STRING, ENUM -> assertEquals(StringData.fromString(expected.toString()), actual, where);
      case BYTES -> assertArrayEquals(((ByteBuffer) expected).array(), (byte[]) actual, where);
      case FIXED -> assertArrayEquals(((GenericFixed) expected).bytes(), (byte[]) actual, where);
      case LONG -> assertEquals(longs((Long) expected, schema, column), actual, where);
      case ARRAY ->
          arrays((List<?>) expected, (ArrayData) actual, schema, (ArrayType) column, where);
      case MAP ->
          maps((Map<?, ?>) expected, (GenericMapData) actual, schema, (MapType) column, where);
      case RECORD -> rows((GenericRecord) expected, (GenericRowData) actual, (RowType) column);
      default -> assertEquals(expected, actual, where);
    }
  }

  private static Object longs(long expected, Schema schema, LogicalType column) {
    if (column.is(LogicalTypeRoot.BIGINT)) {
      return expected;
    }
    return schema.getProp("logicalType").endsWith("millis")
        ? TimestampData.fromEpochMillis(expected)
        : TimestampData.fromEpochMillis(
            Math.floorDiv(expected, 1000L), (int) Math.floorMod(expected, 1000L) * 1000);
  }

  private static void arrays(
      List<?> expected, ArrayData actual, Schema schema, ArrayType column, String where) {
    assertEquals(expected.size(), actual.size(), where);
    ArrayData.ElementGetter getter = ArrayData.createElementGetter(column.getElementType());
    for (int i = 0; i < expected.size(); i++) {
      Object item = getter.getElementOrNull(actual, i);
      values(expected.get(i), item, schema.getElementType(), column.getElementType(), where);
    }
  }

  private static void maps(
      Map<?, ?> expected, GenericMapData actual, Schema schema, MapType column, String where) {
    assertEquals(expected.size(), actual.size(), where);
    expected.forEach(
        (key, value) ->
            values(
                value,
                actual.get(StringData.fromString(key.toString())),
                schema.getValueType(),
                column.getValueType(),
                where));
  }
}
