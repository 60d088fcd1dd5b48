package millrace.kernel.rolling;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import millrace.kernel.spec.SpecException;

/**
 * The operator without Flink: one spec, with the state of all its keys on the heap. Belongs to one
 * thread.
 */
public final class HeapRolling {
  private final List<Column> added = new ArrayList<>();
  private final Map<ByteBuffer, HeapStore> keys = new HashMap<>();
  private final Engine engine;
  private final Output output;
  private final int late;

  /**
   * Bind a spec to the columns of its rows.
   *
   * @throws SpecException naming what is wrong in the spec, or with the columns it reads
   */
  public HeapRolling(String spec, List<Column> columns) {
    Layout layout = LayoutBuilder.build(SpecParser.parse(spec), columns);
    engine = new Engine(layout);
    output = engine.output();
    late = output.types.length;
    for (int i = 0; i < late; i++) {
      added.add(Column.ofSql(layout.spec.features().get(i).name(), output.types[i].name()));
    }
    added.add(Column.ofSql(layout.spec.name() + "_late", "BOOLEAN"));
    added.add(Column.ofSql(layout.spec.name() + "_duplicate", "BOOLEAN"));
  }

  /** Return the columns that {@link #process} computes: the features, then the two marks. */
  public List<Column> added() {
    return List.copyOf(added);
  }

  /**
   * Process the next row of a key; return whether it is emitted, with the values of the added
   * columns left for the accessors.
   *
   * @param key kept for a key's first row, so it must not change afterwards
   */
  public boolean process(ByteBuffer key, Row row) {
    return engine.process(row, keys.computeIfAbsent(key, k -> new HeapStore()));
  }

  /** Return whether the last row was a duplicate. */
  public boolean isDuplicate() {
    return output.duplicate;
  }

  /** Return whether an added column of the last row is NULL. */
  public boolean isNull(int column) {
    return column < late && output.isNull[column];
  }

  /** Return an added column's value: a BIGINT, a DOUBLE's bits, or 1 for true. */
  public long bits(int column) {
    if (column >= late) {
      return (column == late ? output.late : output.duplicate) ? 1 : 0;
    }
    return output.types[column] == Output.Type.DOUBLE
        ? Double.doubleToRawLongBits(output.numbers[column])
        : output.wholes[column];
  }

  /** Return the UTF-8 of an added column that is a STRING. */
  public byte[] text(int column) {
    return output.texts[column];
  }
}
