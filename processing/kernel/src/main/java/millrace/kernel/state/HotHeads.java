package millrace.kernel.state;

import java.util.Arrays;

/**
 * The heads of keys seen lately, so that a key that comes often is not fetched from RocksDB each
 * time. Every write goes to the state as well: forgetting one, or all of them in a restart, costs a
 * read and loses nothing. Belongs to one subtask, the only writer of its keys; others that want for
 * room may drop some of its heads meanwhile. They only ever set references to null, so what the
 * owner has found stays as it is, and it locks only to keep a key or make room.
 *
 * <p>A table of sets of two: a head is copied into a buffer that stays, where the older of the two
 * was, so that a stream of cold keys makes no garbage. It doubles when half of its slots have a
 * buffer.
 */
public final class HotHeads implements HeapBudget.Kept {
  private static final int STEP = 64;
  private static final int FEWEST_SETS = 1 << 8;
  private static final int MOST_SETS = 1 << 22;

  /**
   * Without budget, one head in so many gets the room of others: a key that comes often soon does,
   * a stream of cold ones seldom moves anything.
   */
  private static final int ADMITTED = 8;

  /** Bytes that a slot takes beside its head and key: references, objects' headers, a time. */
  private static final int BESIDE = 64;

  private final HeapBudget.Lease room;
  private byte[][] keys = new byte[2 * FEWEST_SETS][];
  private byte[][] heads = new byte[2 * FEWEST_SETS][];
  private long[] putAt = new long[2 * FEWEST_SETS];
  private byte[] newer = new byte[FEWEST_SETS];
  private int used;
  private int hand;
  private int tries;

  public HotHeads(HeapBudget budget) {
    room = budget.lease(this);
  }

  /**
   * Return the head of a key, or null if it is not here or was put before {@code since}. It is
   * valid until the next {@link #put}; its buffer may be longer than what was put.
   */
  byte[] get(Bytes key, long since) {
    int slot = find(key, set(key));
    return slot < 0 || putAt[slot] < since ? null : heads[slot];
  }

  /** Keep a copy of a head, put at {@code now}, if there is room for it. */
  void put(Bytes key, byte[] head, long now) {
    int set = set(key);
    int slot = find(key, set);
    byte[] buffer = slot < 0 ? null : heads[slot];
    if (buffer != null && head.length <= buffer.length) {
      newer[set] = (byte) (slot & 1);
      putAt[slot] = now;
      System.arraycopy(head, 0, buffer, 0, head.length);
      return;
    }
    room.lock();
    try {
      insert(key, head, now);
    } finally {
      room.unlock();
    }
  }

  private void insert(Bytes key, byte[] head, long now) {
    if (used > newer.length && newer.length < MOST_SETS) {
      grow();
    }
    int set = set(key);
    int slot = find(key, set);
    if (slot < 0) {
      slot = 2 * set + 1 - newer[set];
      if (!reserve(slot, key, head.length)) {
        return;
      }
      keep(key, slot);
    } else if (!reserve(slot, key, head.length)) {
      room.give(drop(slot));
      return;
    }
    newer[set] = (byte) (slot & 1);
    putAt[slot] = now;
    System.arraycopy(head, 0, heads[slot], 0, head.length);
  }

  /** The account of what is kept. */
  HeapBudget.Lease lease() {
    return room;
  }

  /** Bytes that are kept, counted. */
  long bytes() {
    long bytes = 0;
    for (int slot = 0; slot < heads.length; slot++) {
      bytes += taken(slot);
    }
    return bytes;
  }

  @Override
  public long evict(long bytes) {
    return evict(bytes, -1);
  }

  /** Drop buffers wherever the hand is at, until so many bytes are free or few are found. */
  private long evict(long bytes, int keeping) {
    long freed = 0;
    for (int i = 0; i < FEWEST_SETS && freed < bytes; i++) {
      hand = (hand + 1) % heads.length;
      if (keys[hand] != null && hand != keeping) {
        freed += drop(hand);
      }
    }
    return freed;
  }

  private int drop(int slot) {
    int bytes = taken(slot);
    used--;
    keys[slot] = null;
    heads[slot] = null;
    return bytes;
  }

  private void keep(Bytes key, int slot) {
    if (keys[slot] != null && keys[slot].length == key.at) {
      System.arraycopy(key.data, 0, keys[slot], 0, key.at);
    } else {
      keys[slot] = key.copy();
    }
  }

  private int taken(int slot) {
    return heads[slot] == null ? 0 : BESIDE + keys[slot].length + heads[slot].length;
  }

  /** Make room in a slot for a key, whose copy comes next, and a head. */
  private boolean reserve(int slot, Bytes key, int length) {
    boolean first = heads[slot] == null;
    boolean fits = !first && length <= heads[slot].length;
    int buffer = fits ? heads[slot].length : (length / STEP + 1) * STEP;
    int more = BESIDE + key.at + buffer - taken(slot);
    if (more > 0 && !room.take(more) && !reclaim(more, slot)) {
      return false;
    }
    if (more < 0) {
      room.give(-more);
    }
    if (!fits) {
      heads[slot] = new byte[buffer];
    }
    used += first ? 1 : 0;
    return true;
  }

  /**
   * Take what ended tasks had, what others have above their share, or own buffers of other keys;
   * return whether it fits then.
   */
  private boolean reclaim(int bytes, int keeping) {
    if (room.takeOfOthers(bytes)) {
      return true;
    }
    if (tries++ % ADMITTED != 0) {
      return false;
    }
    if (room.takeOfEnded(bytes) || room.takeOfOthers(bytes)) {
      return true;
    }
    room.give(evict(bytes, keeping));
    return room.take(bytes);
  }

  /** A set's number is the first bits of a hash; with one more of them each set becomes two. */
  private void grow() {
    byte[][] oldKeys = keys;
    byte[][] oldHeads = heads;
    long[] oldPutAt = putAt;
    byte[] oldNewer = newer;
    keys = new byte[2 * oldKeys.length][];
    heads = new byte[2 * oldKeys.length][];
    putAt = new long[2 * oldPutAt.length];
    newer = new byte[2 * oldNewer.length];
    Bytes key = Bytes.over(new byte[0]);
    for (int set = 0; set < oldNewer.length; set++) {
      move(oldKeys, oldHeads, oldPutAt, 2 * set + 1 - oldNewer[set], key);
      move(oldKeys, oldHeads, oldPutAt, 2 * set + oldNewer[set], key);
    }
  }

  /** Move one slot; of a set's two the newer comes last and is the newer again. */
  private void move(byte[][] oldKeys, byte[][] oldHeads, long[] oldPutAt, int from, Bytes key) {
    if (oldKeys[from] == null) {
      return;
    }
    key.data = oldKeys[from];
    key.at = key.data.length;
    int set = set(key);
    int slot = keys[2 * set] == null ? 2 * set : 2 * set + 1;
    keys[slot] = oldKeys[from];
    heads[slot] = oldHeads[from];
    putAt[slot] = oldPutAt[from];
    newer[set] = (byte) (slot & 1);
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

  private int set(Bytes key) {
    int hash = 1;
    for (int i = 0; i < key.at; i++) {
      hash = 31 * hash + key.data[i];
    }
    hash *= 0x9E3779B9;
    return hash >>> Integer.numberOfLeadingZeros(newer.length - 1);
  }
}
