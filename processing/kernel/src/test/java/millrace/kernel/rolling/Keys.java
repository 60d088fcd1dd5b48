package millrace.kernel.rolling;

import java.util.HashMap;
import java.util.Map;
import millrace.kernel.state.StateStore;

/** State of many keys on the heap, for tests. */
final class Keys {
  private final Map<String, HeapStore> keys = new HashMap<>();

  HeapStore of(String key) {
    return keys.computeIfAbsent(key, k -> new HeapStore());
  }

  /** Bytes of a key's head and of everything else that it keeps. */
  static int[] bytes(HeapStore store) {
    int all = store.entries.values().stream().mapToInt(v -> v.length).sum();
    byte[] head = store.entries.getOrDefault(StateStore.HEAD, new byte[0]);
    return new int[] {head.length, all - head.length};
  }
}
