package millrace.kernel.rolling;

import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.RowData;

/**
 * The state of the current key, behind the engine's interface: heads by way of {@link HotHeads}.
 */
final class MapStore implements StateStore {
  private final RowKey keys;
  private final HotHeads hot;
  private final Bytes key = new Bytes(64);
  private MapView<Long, byte[]> view;

  /**
   * @param keys null if heads are always fetched
   */
  MapStore(RowKey keys, HotHeads hot) {
    this.keys = keys;
    this.hot = hot;
  }

  /** What follows is about the key of {@code row}, which is the one that {@code state} is at. */
  void set(MapView<Long, byte[]> state, RowData row) {
    view = state;
    if (keys != null) {
      key.at = 0;
      keys.write(row, key);
    }
  }

  @Override
  public byte[] get(long entry) {
    byte[] kept = entry == HEAD && keys != null ? hot.get(key) : null;
    if (kept != null) {
      return kept;
    }
    try {
      return view.get(entry);
    } catch (Exception e) {
      throw new IllegalStateException("rolling: cannot read state", e);
    }
  }

  @Override
  public void put(long entry, byte[] value) {
    try {
      view.put(entry, value);
    } catch (Exception e) {
      throw new IllegalStateException("rolling: cannot write state", e);
    }
    if (entry == HEAD && keys != null) {
      hot.put(key, value);
    }
  }

  @Override
  public void remove(long entry) {
    if (entry == HEAD) {
      throw new IllegalArgumentException("rolling: a head is replaced, never removed");
    }
    try {
      view.remove(entry);
    } catch (Exception e) {
      throw new IllegalStateException("rolling: cannot remove state", e);
    }
  }
}
