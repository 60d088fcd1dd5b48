package millrace.kernel.sessionize;

import java.util.List;
import millrace.kernel.state.Bytes;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericArrayData;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * The columns that {@code sessionize} adds. One row, reused: the collector wraps it in rows that it
 * reuses as well. Texts are views of the state's new bytes, which nobody changes.
 */
final class Answer {
  private static final GenericArrayData NONE = new GenericArrayData(new Object[0]);

  private final GenericRowData row = new GenericRowData(8);
  private final Bytes in = Bytes.over(new byte[0]);
  private MemorySegment[] segments;

  static List<DataTypes.Field> fields() {
    return List.of(
        DataTypes.FIELD("session_id", DataTypes.STRING().notNull()),
        DataTypes.FIELD("newest", DataTypes.TIMESTAMP_LTZ(3).notNull()),
        DataTypes.FIELD("started", DataTypes.TIMESTAMP_LTZ(3).notNull()),
        DataTypes.FIELD("clicks", DataTypes.INT().notNull()),
        DataTypes.FIELD("items", DataTypes.ARRAY(DataTypes.STRING().notNull()).notNull()),
        DataTypes.FIELD("actions", DataTypes.ARRAY(DataTypes.STRING().notNull()).notNull()),
        DataTypes.FIELD("merged_into", DataTypes.STRING()),
        DataTypes.FIELD("late", DataTypes.BOOLEAN().notNull()));
  }

  /** Of a late click. */
  RowData late(byte[] id, long time) {
    return fill(StringData.fromBytes(id), time, time, 0, NONE, NONE, null, true);
  }

  /** Of a session that another has taken over. */
  RowData gone(Engine.Gone gone, OpenSession by) {
    return fill(
        StringData.fromBytes(gone.id()),
        gone.newest(),
        gone.started(),
        by.clicks,
        NONE,
        NONE,
        StringData.fromBytes(by.id),
        false);
  }

  /** Of the session that stands in a head. */
  RowData session(byte[] head, int at) {
    segments = new MemorySegment[] {MemorySegmentFactory.wrap(head)};
    in.data = head;
    in.at = at;
    StringData id = text();
    long started = in.getSigned();
    long newest = started + in.getVar();
    int clicks = (int) in.getVar();
    Object[] items = new Object[(int) in.getVar()];
    Object[] actions = new Object[items.length];
    for (int i = 0; i < items.length; i++) {
      in.getVar();
      in.getLong();
      int code = in.getByte();
      actions[i] = code == 0 ? text() : Actions.TEXTS[code];
      items[i] = text();
    }
    return fill(
        id,
        newest,
        started,
        clicks,
        new GenericArrayData(items),
        new GenericArrayData(actions),
        null,
        false);
  }

  private StringData text() {
    int length = (int) in.getVar();
    int from = in.at;
    in.at += length;
    return new BinaryStringData(segments, from, length);
  }

  private RowData fill(
      StringData id,
      long newest,
      long started,
      int clicks,
      GenericArrayData items,
      GenericArrayData actions,
      StringData mergedInto,
      boolean late) {
    row.setField(0, id);
    row.setField(1, TimestampData.fromEpochMillis(newest));
    row.setField(2, TimestampData.fromEpochMillis(started));
    row.setField(3, clicks);
    row.setField(4, items);
    row.setField(5, actions);
    row.setField(6, mergedInto);
    row.setField(7, late);
    return row;
  }
}
