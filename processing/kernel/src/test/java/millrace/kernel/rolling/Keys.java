package millrace.kernel.rolling;

import java.util.HashMap;
import java.util.Map;

/** State of many keys on the heap, for tests. */
final class Keys {
  private final Map<String, HeapStore> keys = new HashMap<>();

  HeapStore of(String key) {
    return keys.computeIfAbsent(key, k -> new HeapStore());
  }

  /** State of one key. */
  static final class HeapStore implements StateStore {
    final Map<Long, byte[]> entries = new HashMap<>();

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

    /** Bytes of the head and of everything else. */
    int[] bytes() {
      int all = entries.values().stream().mapToInt(v -> v.length).sum();
      int head = entries.containsKey(HEAD) ? entries.get(HEAD).length : 0;
      return new int[] {head, all - head};
    }
  }
}
