package millrace.kernel.avro;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import millrace.kernel.avro.AvroSchema.Type;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericMapData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.ArrayType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.table.types.logical.LogicalTypeRoot;
import org.apache.flink.table.types.logical.MapType;
import org.apache.flink.table.types.logical.RowType;

/**
 * Compile how values of a writer's schema are read as the reader's (Avro 1.12, "Schema Resolution")
 * into a table's columns. Throw {@link Unreadable} (incompatible_schema) if they cannot be; a
 * branch of a union that cannot be read fails only when it occurs.
 */
final class Resolver {
  private Resolver() {}

  /**
   * Compile a plan for records, {@code width} fields wide at least. Columns that the reader has no
   * field for (they are another contract's) and further fields stay NULL.
   */
  static RecordReader record(AvroSchema writer, AvroSchema reader, RowType columns, int width) {
    if (writer.type != Type.RECORD) {
      throw Unreadable.incompatible("a " + writer + ", not a " + reader);
    }
    if (!reader.answersTo(writer.shortName())) {
      throw Unreadable.incompatible("a " + writer.name + ", not a " + reader.name);
    }
    int count = writer.fields.size();
    String[] names = new String[count];
    Reader[] readers = new Reader[count];
    int[] targets = new int[count];
    AvroSchema[] skipped = new AvroSchema[count];
    Object[] defaults = new Object[columns.getFieldCount()];
    Map<String, Integer> written = new HashMap<>();
    for (int i = 0; i < count; i++) {
      names[i] = writer.fields.get(i).name();
      skipped[i] = writer.fields.get(i).schema();
      written.put(names[i], i);
    }
    for (int column = 0; column < columns.getFieldCount(); column++) {
      AvroSchema.Field field = reader.field(columns.getFieldNames().get(column));
      if (field == null) {
        continue;
      }
      LogicalType type = columns.getTypeAt(column);
      Integer source = source(field, written);
      if (source == null) {
        defaults[column] = missing(field, type);
      } else if (readers[source] != null) {
        throw Unreadable.incompatible("field " + names[source] + " is read as two, by an alias");
      } else {
        readers[source] =
            value(skipped[source], field.schema(), type, field.name(), field.minLength());
        targets[source] = column;
      }
    }
    requireUnread(reader, columns, written);
    return new RecordReader(
        reader.shortName(),
        Math.max(width, columns.getFieldCount()),
        names,
        readers,
        targets,
        skipped,
        defaults);
  }

  /** What no column asks for must be there or have a default all the same. */
  private static void requireUnread(
      AvroSchema reader, RowType columns, Map<String, Integer> written) {
    for (AvroSchema.Field field : reader.fields) {
      if (!columns.getFieldNames().contains(field.name()) && source(field, written) == null) {
        requireDefault(field);
      }
    }
  }

  private static Integer source(AvroSchema.Field field, Map<String, Integer> written) {
    Integer source = written.get(field.name());
    for (int i = 0; source == null && i < field.aliases().size(); i++) {
      source = written.get(field.aliases().get(i));
    }
    return source;
  }

  private static Object missing(AvroSchema.Field field, LogicalType type) {
    requireDefault(field);
    return field.fallback() == null ? null : Defaults.value(field.schema(), type, field.fallback());
  }

  private static void requireDefault(AvroSchema.Field field) {
    if (field.fallback() == null && !field.schema().isNullable()) {
      throw Unreadable.incompatible("field " + field.name() + " is missing and has no default");
    }
  }

  private static Reader value(
      AvroSchema writer, AvroSchema reader, LogicalType column, String where, int minLength) {
    if (writer.type == Type.UNION) {
      return union(writer, reader, column, where, minLength);
    }
    if (writer.type == Type.NULL && reader.isNullable()) {
      return in -> null;
    }
    return plain(writer, reader.value(), column, where, minLength);
  }

  private static Reader union(
      AvroSchema writer, AvroSchema reader, LogicalType column, String where, int minLength) {
    int count = writer.branches.size();
    Reader[] branches = new Reader[count];
    int usable = 0;
    Unreadable last = mismatch(writer, reader, where);
    for (int i = 0; i < count; i++) {
      try {
        branches[i] = value(writer.branches.get(i), reader, column, where, minLength);
        usable++;
      } catch (Unreadable e) {
        last = e;
        branches[i] = failing(e);
      }
    }
    if (usable == 0) {
      throw last;
    }
    return in -> branches[in.readIndex(count, "branch")].read(in);
  }

  private static Reader failing(Unreadable why) {
    return in -> {
      throw new Unreadable(why.reason, why.getMessage());
    };
  }

  private static Reader plain(
      AvroSchema writer, AvroSchema reader, LogicalType column, String where, int minLength) {
    Type from = writer.type;
    Reader found =
        switch (reader.type) {
          case BOOLEAN -> from == Type.BOOLEAN ? Input::readBoolean : null;
          case INT -> from == Type.INT && sameUnit(writer, reader) ? Input::readInt : null;
          case LONG -> sameUnit(writer, reader) ? longs(from, reader, column, where) : null;
          case FLOAT -> floats(from, where);
          case DOUBLE -> doubles(from, where);
          case STRING ->
              from == Type.STRING || from == Type.BYTES
                  ? in -> in.readString(minLength, where)
                  : null;
          case BYTES -> from == Type.BYTES || from == Type.STRING ? Input::readBytes : null;
          case FIXED -> fixed(writer, reader);
          case ENUM -> enumeration(writer, reader);
          case ARRAY ->
              from == Type.ARRAY ? array(writer, reader, (ArrayType) column, where) : null;
          case MAP -> from == Type.MAP ? map(writer, reader, (MapType) column, where) : null;
          case RECORD ->
              from == Type.RECORD ? nested(writer, reader, (RowType) column, where) : null;
          case NULL, UNION -> null;
        };
    if (found == null) {
      throw mismatch(writer, reader, where);
    }
    return found;
  }

  private static Unreadable mismatch(AvroSchema writer, AvroSchema reader, String where) {
    return Unreadable.incompatible(
        "field " + where + " is written as " + writer + ", read as " + reader);
  }

  /** Avro ignores logical types here; a value of another unit would be wrong in silence. */
  private static boolean sameUnit(AvroSchema writer, AvroSchema reader) {
    return writer.logicalType.isEmpty()
        || reader.logicalType.isEmpty()
        || writer.logicalType.equals(reader.logicalType);
  }

  private static Reader longs(Type from, AvroSchema reader, LogicalType column, String where) {
    if (from != Type.INT && from != Type.LONG) {
      return null;
    }
    boolean narrow = from == Type.INT;
    int digits = Timestamps.digits(reader.logicalType);
    if (digits > 0) {
      boolean asNumber = column.is(LogicalTypeRoot.BIGINT);
      return in -> {
        long value = narrow ? in.readInt() : in.readLong();
        if (!Timestamps.inRange(value, digits)) {
          in.refuse(where + " is out of range: " + value);
        }
        return asNumber ? (Object) value : Timestamps.fromLong(value, digits);
      };
    }
    return narrow ? in -> (long) in.readInt() : Input::readLong;
  }

  private static Reader floats(Type from, String where) {
    return switch (from) {
      case INT -> in -> (float) in.readInt();
      case LONG -> in -> (float) in.readLong();
      case FLOAT -> in -> (float) finite(in.readFloat(), in, where);
      default -> null;
    };
  }

  private static Reader doubles(Type from, String where) {
    return switch (from) {
      case INT -> in -> (double) in.readInt();
      case LONG -> in -> (double) in.readLong();
      case FLOAT -> in -> finite(in.readFloat(), in, where);
      case DOUBLE -> in -> finite(in.readDouble(), in, where);
      default -> null;
    };
  }

  private static double finite(double value, Input in, String where) {
    if (!Double.isFinite(value)) {
      in.refuse(where + " is " + value);
    }
    return value;
  }

  private static Reader fixed(AvroSchema writer, AvroSchema reader) {
    boolean same =
        writer.type == Type.FIXED
            && writer.size == reader.size
            && reader.answersTo(writer.shortName());
    return same ? in -> in.readFixed(reader.size) : null;
  }

  private static Reader enumeration(AvroSchema writer, AvroSchema reader) {
    if (writer.type != Type.ENUM || !reader.answersTo(writer.shortName())) {
      return null;
    }
    List<String> known = List.of(reader.symbols);
    StringData[] texts = new StringData[writer.symbols.length];
    for (int i = 0; i < texts.length; i++) {
      String symbol = known.contains(writer.symbols[i]) ? writer.symbols[i] : reader.enumDefault;
      texts[i] = StringData.fromString(symbol);
    }
    return in -> {
      int symbol = in.readIndex(texts.length, "symbol");
      if (texts[symbol] == null) {
        throw Unreadable.incompatible("symbol " + writer.symbols[symbol] + " is none of " + known);
      }
      return texts[symbol];
    };
  }

  private static Reader nested(AvroSchema writer, AvroSchema reader, RowType column, String where) {
    try {
      return record(writer, reader, column, 0);
    } catch (Unreadable e) {
      throw e.in("field " + where);
    }
  }

  private static Reader array(
      AvroSchema writer, AvroSchema reader, ArrayType column, String where) {
    Reader item = value(writer.items, reader.items, column.getElementType(), where + "[]", 0);
    int smallest = Skip.smallest(writer.items);
    return in -> {
      in.enter();
      List<Object> items = new ArrayList<>();
      for (int n = in.readBlock(smallest, 0); n != 0; n = in.readBlock(smallest, items.size())) {
        for (int i = 0; i < n; i++) {
          items.add(item.read(in));
        }
      }
      in.leave();
      return new GenericArrayData(items.toArray());
    };
  }

  private static Reader map(AvroSchema writer, AvroSchema reader, MapType column, String where) {
    Reader item = value(writer.items, reader.items, column.getValueType(), where + "{}", 0);
    int smallest = Skip.smallest(writer.items) + 1;
    return in -> {
      in.enter();
      Map<Object, Object> entries = new HashMap<>();
      for (int n = in.readBlock(smallest, 0); n != 0; n = in.readBlock(smallest, 0)) {
        for (int i = 0; i < n; i++) {
          Object key = in.readString(0, where);
          entries.put(key, item.read(in));
        }
      }
      in.leave();
      return new GenericMapData(entries);
    };
  }
}
