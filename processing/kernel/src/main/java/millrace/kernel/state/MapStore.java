package millrace.kernel.state;

import java.util.function.LongSupplier;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.RowData;

/**
 * The state of the current key, behind the engine's interface: heads by way of {@link HotHeads}.
 */
public final class MapStore implements StateStore {
  private final RowKey keys;
  private final HotHeads hot;
  private final Bytes key = new Bytes(64);
  private final LongSupplier clock;
  private final long keepIdleMs;
  private MapView<Long, byte[]> view;
  private long now;

  /**
   * @param keys null if heads are always fetched
   * @param clock wall time in ms, the one that {@code state} of {@link #set} expires by
   * @param keepIdleMs how long after it was put an entry of the state expires
   */
  public MapStore(RowKey keys, HotHeads hot, LongSupplier clock, long keepIdleMs) {
    this.keys = keys;
    this.hot = hot;
    this.clock = clock;
    this.keepIdleMs = keepIdleMs;
  }

  /** What follows is about the key of {@code row}, which is the one that {@code state} is at. */
  public void set(MapView<Long, byte[]> state, RowData row) {
    view = state;
    if (keys != null) {
      // Read before the state's own clock is: a kept head never outlives the one in the state.
      now = clock.getAsLong();
      key.at = 0;
      keys.write(row, key);
    }
  }

  @Override
  public byte[] get(long entry) {
    byte[] kept = entry == HEAD && keys != null ? hot.get(key, since()) : null;
    if (kept != null) {
      return kept;
    }
    try {
      return view.get(entry);
    } catch (Exception e) {
      throw new IllegalStateException("cannot read state", e);
    }
  }

  /** When a head must have been put at the earliest to be alive. */
  private long since() {
    return now < Long.MIN_VALUE + keepIdleMs ? Long.MIN_VALUE : now - keepIdleMs + 1;
  }

  @Override
  public void put(long entry, byte[] value) {
    try {
      view.put(entry, value);
    } catch (Exception e) {
      throw new IllegalStateException("cannot write state", e);
    }
    if (entry == HEAD && keys != null) {
      hot.put(key, value, now);
    }
  }

  @Override
  public void remove(long entry) {
    if (entry == HEAD) {
      throw new IllegalArgumentException("a head is replaced, never removed");
    }
    try {
      view.remove(entry);
    } catch (Exception e) {
      throw new IllegalStateException("cannot remove state", e);
    }
  }
}
