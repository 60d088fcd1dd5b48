package millrace.kernel.avro;

import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;

/**
 * Read a record: each of the writer's fields into its column or over it, then the defaults of what
 * it lacks.
 */
final class RecordReader implements Reader {
  /** Return the name of the record that it is read as, without its namespace. */
  final StringData record;

  private final int width;
  private final String[] names;

  /** By the writer's field: how to read it, null to skip it. */
  private final Reader[] readers;

  private final int[] columns;
  private final AvroSchema[] skipped;

  /** By column, null where the writer has the field or the default is NULL. */
  private final Object[] defaults;

  private final boolean hasDefaults;

  RecordReader(
      String record,
      int width,
      String[] names,
      Reader[] readers,
      int[] columns,
      AvroSchema[] skipped,
      Object[] defaults) {
    this.record = StringData.fromString(record);
    this.width = width;
    this.names = names;
    this.readers = readers;
    this.columns = columns;
    this.skipped = skipped;
    this.defaults = defaults;
    boolean any = false;
    for (Object value : defaults) {
      any |= value != null;
    }
    hasDefaults = any;
  }

  @Override
  public Object read(Input in) {
    GenericRowData row = new GenericRowData(width);
    readInto(row, in);
    return row;
  }

  void readInto(GenericRowData row, Input in) {
    in.enter();
    int at = 0;
    try {
      for (; at < readers.length; at++) {
        Reader reader = readers[at];
        if (reader == null) {
          Skip.value(skipped[at], in);
        } else {
          row.setField(columns[at], reader.read(in));
        }
      }
    } catch (Unreadable e) {
      throw e.in(names[at]);
    }
    if (hasDefaults) {
      for (int i = 0; i < defaults.length; i++) {
        if (defaults[i] != null) {
          row.setField(i, defaults[i]);
        }
      }
    }
    in.leave();
  }
}
