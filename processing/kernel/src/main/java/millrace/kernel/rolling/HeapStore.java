package millrace.kernel.rolling;

import java.util.HashMap;
import java.util.Map;
import millrace.kernel.state.StateStore;

/** The state of one key, on the heap. */
final class HeapStore implements StateStore {
  final Map<Long, byte[]> entries = new HashMap<>(4);

  @Override
  public byte[] get(long entry) {
    return entries.get(entry);
  }

  @Override
  public void put(long entry, byte[] value) {
    entries.put(entry, value);
  }

  @Override
  public void remove(long entry) {
    entries.remove(entry);
  }
}
