package millrace.kernel.rolling;

import java.util.Arrays;

/**
 * The heads of keys seen lately, so that a key that comes often is not fetched from RocksDB each
 * time. Every write goes to the state as well: forgetting one, or all of them in a restart, costs a
 * read and loses nothing. Belongs to one subtask, the only writer of its keys.
 *
 * <p>A table of sets of two: a head is copied into a buffer that stays, where the older of the two
 * was, so that a stream of cold keys makes no garbage.
 */
final class HotHeads {
  private static final int SETS = 1 << 15;
  private static final int STEP = 256;

  private final byte[][] keys = new byte[2 * SETS][];
  private final byte[][] heads = new byte[2 * SETS][];
  private final byte[] newer = new byte[SETS];
  private long left;

  /**
   * @param capacity bytes of heads to keep at most
   */
  HotHeads(long capacity) {
    left = capacity;
  }

  /**
   * The head of a key, or null if it is not here. Valid until the next {@link #put}; its buffer may
   * be longer than what was put.
   */
  byte[] get(Bytes key) {
    int slot = find(key, set(key));
    return slot < 0 ? null : heads[slot];
  }

  /** Keeps a copy of a head if there is room for it. */
  void put(Bytes key, byte[] head) {
    int set = set(key);
    int slot = find(key, set);
    if (slot < 0) {
      slot = 2 * set + 1 - newer[set];
      if (!reserve(slot, head.length)) {
        return;
      }
      keep(key, slot);
    } else if (!reserve(slot, head.length)) {
      keys[slot] = null;
      return;
    }
    newer[set] = (byte) (slot & 1);
    System.arraycopy(head, 0, heads[slot], 0, head.length);
  }

  private void keep(Bytes key, int slot) {
    if (keys[slot] != null && keys[slot].length == key.at) {
      System.arraycopy(key.data, 0, keys[slot], 0, key.at);
    } else {
      keys[slot] = key.copy();
    }
  }

  private boolean reserve(int slot, int length) {
    int has = heads[slot] == null ? 0 : heads[slot].length;
    if (length <= has) {
      return true;
    }
    int wanted = (length / STEP + 1) * STEP;
    if (wanted - has > left) {
      return false;
    }
    left -= wanted - has;
    heads[slot] = new byte[wanted];
    return true;
  }

  private int find(Bytes key, int set) {
    for (int slot = 2 * set; slot < 2 * set + 2; slot++) {
      byte[] kept = keys[slot];
      if (kept != null && Arrays.equals(kept, 0, kept.length, key.data, 0, key.at)) {
        return slot;
      }
    }
    return -1;
  }

  private static int set(Bytes key) {
    int hash = 1;
    for (int i = 0; i < key.at; i++) {
      hash = 31 * hash + key.data[i];
    }
    hash *= 0x9E3779B9;
    return hash >>> 17;
  }
}
