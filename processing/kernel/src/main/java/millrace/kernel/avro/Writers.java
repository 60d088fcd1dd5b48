package millrace.kernel.avro;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;
import org.apache.flink.table.types.logical.utils.LogicalTypeChecks;

/** Compile how a table's columns are written as the fields of a schema. */
final class Writers {
  @FunctionalInterface
  private interface FromRow {
    void write(RowData row, int column, Output out);
  }

  @FunctionalInterface
  private interface FromArray {
    void write(ArrayData items, int index, Output out);
  }

  private record Both(FromRow fromRow, FromArray fromArray) implements Writer {
    @Override
    public void write(RowData row, int column, Output out) {
      fromRow.write(row, column, out);
    }

    @Override
    public void write(ArrayData items, int index, Output out) {
      fromArray.write(items, index, out);
    }
  }

  /** Write a record's fields in the schema's order. */
  record Record(Writer[] fields, int[] columns) {
    void write(RowData row, Output out) {
      for (int i = 0; i < fields.length; i++) {
        fields[i].write(row, columns[i], out);
      }
    }
  }

  private Writers() {}

  static Record record(AvroSchema schema, RowType columns) {
    int count = schema.fields.size();
    Writer[] fields = new Writer[count];
    int[] sources = new int[count];
    for (int i = 0; i < count; i++) {
      AvroSchema.Field field = schema.fields.get(i);
      sources[i] = columns.getFieldIndex(field.name());
      if (sources[i] < 0) {
        fields[i] = absent(field);
      } else {
        fields[i] = value(field.schema(), columns.getTypeAt(sources[i]), field.name());
      }
    }
    return new Record(fields, sources);
  }

  /** A field that the table has no column for is written as NULL, where it may be. */
  private static Writer absent(AvroSchema.Field field) {
    if (!field.schema().isNullable()) {
      throw new IllegalArgumentException("The table has no column for field " + field.name());
    }
    long branch = nullBranch(field.schema());
    return new Both(
        (row, i, out) -> out.writeLong(branch), (items, i, out) -> out.writeLong(branch));
  }

  private static Writer value(AvroSchema declared, LogicalType column, String where) {
    AvroSchema schema = declared.value();
    Writer plain = plain(schema, column, where);
    if (!declared.isNullable()) {
      Writer required = required(plain, where);
      return declared.type == AvroSchema.Type.UNION ? onlyBranch(required) : required;
    }
    long nullBranch = nullBranch(declared);
    long valueBranch = declared.branches.indexOf(schema);
    return new Both(
        (row, i, out) -> {
          boolean absent = row.isNullAt(i);
          out.writeLong(absent ? nullBranch : valueBranch);
          if (!absent) {
            plain.write(row, i, out);
          }
        },
        (items, i, out) -> {
          boolean absent = items.isNullAt(i);
          out.writeLong(absent ? nullBranch : valueBranch);
          if (!absent) {
            plain.write(items, i, out);
          }
        });
  }

  private static Writer required(Writer plain, String where) {
    return new Both(
        (row, i, out) -> {
          if (row.isNullAt(i)) {
            throw isNull(where);
          }
          plain.write(row, i, out);
        },
        (items, i, out) -> {
          if (items.isNullAt(i)) {
            throw isNull(where);
          }
          plain.write(items, i, out);
        });
  }

  /** A union of one type has an index, too. */
  private static Writer onlyBranch(Writer value) {
    return new Both(
        (row, i, out) -> {
          out.writeLong(0);
          value.write(row, i, out);
        },
        (items, i, out) -> {
          out.writeLong(0);
          value.write(items, i, out);
        });
  }

  private static IllegalArgumentException isNull(String where) {
    return new IllegalArgumentException("Field " + where + " must not be NULL");
  }

  private static long nullBranch(AvroSchema union) {
    for (int i = 0; i < union.branches.size(); i++) {
      if (union.branches.get(i).type == AvroSchema.Type.NULL) {
        return i;
      }
    }
    throw new IllegalArgumentException("not nullable: " + union);
  }

  private static Writer plain(AvroSchema schema, LogicalType column, String where) {
    return switch (schema.type) {
      case BOOLEAN ->
          new Both(
              (row, i, out) -> out.writeBoolean(row.getBoolean(i)),
              (items, i, out) -> out.writeBoolean(items.getBoolean(i)));
      case INT ->
          new Both(
              (row, i, out) -> out.writeLong(row.getInt(i)),
              (items, i, out) -> out.writeLong(items.getInt(i)));
      case LONG -> longs(schema, column);
      case FLOAT ->
          new Both(
              (row, i, out) -> out.writeFloat(row.getFloat(i)),
              (items, i, out) -> out.writeFloat(items.getFloat(i)));
      case DOUBLE ->
          new Both(
              (row, i, out) -> out.writeDouble(row.getDouble(i)),
              (items, i, out) -> out.writeDouble(items.getDouble(i)));
      case STRING ->
          new Both(
              (row, i, out) -> out.writeString(row.getString(i)),
              (items, i, out) -> out.writeString(items.getString(i)));
      case BYTES ->
          new Both(
              (row, i, out) -> out.writeBytes(row.getBinary(i)),
              (items, i, out) -> out.writeBytes(items.getBinary(i)));
      case FIXED ->
          new Both(
              (row, i, out) -> fixed(row.getBinary(i), schema, where, out),
              (items, i, out) -> fixed(items.getBinary(i), schema, where, out));
      case ENUM -> enumeration(schema, where);
      case ARRAY -> array(schema, (ArrayType) column, where);
      case MAP -> map(schema, (MapType) column, where);
      case RECORD -> nested(schema, (RowType) column);
      case NULL, UNION ->
          throw new IllegalArgumentException("Field " + where + ": no column can be " + schema);
    };
  }

  private static Writer longs(AvroSchema schema, LogicalType column) {
    if (column.is(LogicalTypeRoot.BIGINT)) {
      return new Both(
          (row, i, out) -> out.writeLong(row.getLong(i)),
          (items, i, out) -> out.writeLong(items.getLong(i)));
    }
    int digits = Timestamps.digits(schema.logicalType);
    int precision = LogicalTypeChecks.getPrecision(column);
    return new Both(
        (row, i, out) -> out.writeLong(Timestamps.toLong(row.getTimestamp(i, precision), digits)),
        (items, i, out) ->
            out.writeLong(Timestamps.toLong(items.getTimestamp(i, precision), digits)));
  }

  private static void fixed(byte[] value, AvroSchema schema, String where, Output out) {
    if (value.length != schema.size) {
      throw new IllegalArgumentException(
          "Field " + where + " has " + value.length + " bytes, not " + schema.size);
    }
    out.writeFixed(value);
  }

  private static Writer enumeration(AvroSchema schema, String where) {
    Map<StringData, Integer> symbols = new HashMap<>();
    for (int i = 0; i < schema.symbols.length; i++) {
      symbols.put(StringData.fromString(schema.symbols[i]), i);
    }
    return new Both(
        (row, i, out) -> out.writeLong(symbol(row.getString(i), symbols, schema, where)),
        (items, i, out) -> out.writeLong(symbol(items.getString(i), symbols, schema, where)));
  }

  private static int symbol(
      StringData text, Map<StringData, Integer> symbols, AvroSchema schema, String where) {
    Integer symbol = symbols.get(text);
    if (symbol == null) {
      throw new IllegalArgumentException(
          "Field " + where + ": \"" + text + "\" is none of " + Arrays.toString(schema.symbols));
    }
    return symbol;
  }

  private static Writer array(AvroSchema schema, ArrayType column, String where) {
    Writer item = value(schema.items, column.getElementType(), where + "[]");
    return new Both(
        (row, i, out) -> items(row.getArray(i), item, out),
        (items, i, out) -> items(items.getArray(i), item, out));
  }

  private static void items(ArrayData items, Writer item, Output out) {
    int size = items.size();
    if (size > 0) {
      out.writeLong(size);
      for (int i = 0; i < size; i++) {
        item.write(items, i, out);
      }
    }
    out.writeLong(0);
  }

  private static Writer map(AvroSchema schema, MapType column, String where) {
    Writer item = value(schema.items, column.getValueType(), where + "{}");
    return new Both(
        (row, i, out) -> entries(row.getMap(i), item, out),
        (items, i, out) -> entries(items.getMap(i), item, out));
  }

  private static void entries(MapData map, Writer item, Output out) {
    ArrayData keys = map.keyArray();
    ArrayData values = map.valueArray();
    int size = map.size();
    if (size > 0) {
      out.writeLong(size);
      for (int i = 0; i < size; i++) {
        out.writeString(keys.getString(i));
        item.write(values, i, out);
      }
    }
    out.writeLong(0);
  }

  private static Writer nested(AvroSchema schema, RowType column) {
    Record record = record(schema, column);
    int width = column.getFieldCount();
    return new Both(
        (row, i, out) -> record.write(row.getRow(i, width), out),
        (items, i, out) -> record.write(items.getRow(i, width), out));
  }
}
