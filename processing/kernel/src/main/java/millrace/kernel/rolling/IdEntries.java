package millrace.kernel.rolling;

import java.util.Arrays;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.StateStore;

/**
 * The ids of the current key that are stored apart, by tile of the longest ring: one entry a tile
 * while they are few, one entry a 32nd of a tile ("bucket") when they are many. The head knows
 * which entries there are, so that a row whose bucket is not among them is known to be new without
 * looking.
 */
final class IdEntries {
  static final int BUCKETS = 32;

  /** Ids a bucket remembers. */
  static final int MOST = 4096;

  /** Bytes of an id outside a bucket's own entry: bucket, hash. */
  static final int STEP = 9;

  private static final int FEW = 64;
  private static final byte[] NONE = {};

  // The tiles with entries of their own, ascending, and which of their buckets have an entry (0:
  // one entry for all).
  private int size;
  private long[] tiles = new long[40];
  private int[] masks = new int[40];

  void reset() {
    size = 0;
  }

  void read(Bytes in) {
    size = (int) in.getVar();
    reserve(size);
    for (int i = 0; i < size; i++) {
      tiles[i] = i == 0 ? in.getSigned() : tiles[i - 1] + in.getVar();
      masks[i] = (int) in.getVar();
    }
  }

  void write(Bytes out) {
    out.putVar(size);
    for (int i = 0; i < size; i++) {
      if (i == 0) {
        out.putSigned(tiles[0]);
      } else {
        out.putVar(tiles[i] - tiles[i - 1]);
      }
      out.putVar(Integer.toUnsignedLong(masks[i]));
    }
  }

  /**
   * Whether an id is among them.
   *
   * @param newer how many ids of its bucket are newer than all of these: they count towards {@link
   *     #MOST}
   */
  boolean contains(long tile, int bucket, long hash, int newer, StateStore store) {
    int position = find(tile);
    if (position < 0) {
      return false;
    }
    if (masks[position] == 0) {
      Bytes in = Bytes.over(entry(Entries.ids(tile), store));
      while (in.at < in.data.length) {
        int in32nd = in.getByte();
        if (in.getLong() == hash && in32nd == bucket) {
          return true;
        }
      }
      return false;
    }
    if ((masks[position] >>> bucket & 1) == 0) {
      return false;
    }
    Bytes in = Bytes.over(entry(Entries.ids(tile, bucket), store));
    in.at = Math.max(0, in.data.length / 8 + newer - MOST) * 8;
    while (in.at < in.data.length) {
      if (in.getLong() == hash) {
        return true;
      }
    }
    return false;
  }

  /** Add ids of {@link #STEP} bytes each to the entries of a tile. */
  void append(long tile, Bytes added, StateStore store) {
    int position = find(tile);
    if (position < 0) {
      position = -1 - position;
      insert(position, tile);
    } else if (masks[position] == 0) {
      byte[] stored = entry(Entries.ids(tile), store);
      byte[] all = Arrays.copyOf(stored, stored.length + added.at);
      System.arraycopy(added.data, 0, all, stored.length, added.at);
      added.data = all;
      added.at = all.length;
    }
    if (masks[position] == 0 && added.at <= FEW * STEP) {
      store.put(Entries.ids(tile), added.copy());
      return;
    }
    if (masks[position] == 0) {
      store.remove(Entries.ids(tile));
    }
    scatter(tile, position, added, store);
  }

  /** Add ids to the buckets of a tile, each written once. */
  private void scatter(long tile, int position, Bytes added, StateStore store) {
    int todo = 0;
    for (int at = 0; at < added.at; at += STEP) {
      todo |= 1 << added.data[at];
    }
    Bytes all = new Bytes(added.at);
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      if ((todo >>> bucket & 1) == 0) {
        continue;
      }
      all.at = 0;
      if ((masks[position] >>> bucket & 1) == 1) {
        byte[] stored = entry(Entries.ids(tile, bucket), store);
        all.put(stored, 0, stored.length);
      }
      for (int at = 0; at < added.at; at += STEP) {
        if (added.data[at] == bucket) {
          all.put(added.data, at + 1, 8);
        }
      }
      int from = Math.max(0, all.at - MOST * 8);
      store.put(Entries.ids(tile, bucket), Arrays.copyOfRange(all.data, from, all.at));
    }
    masks[position] |= todo;
  }

  /** Forget the tiles below {@code floor}. */
  void drop(long floor, StateStore store) {
    int dropped = 0;
    while (dropped < size && tiles[dropped] < floor) {
      remove(dropped++, store);
    }
    if (dropped > 0) {
      size -= dropped;
      System.arraycopy(tiles, dropped, tiles, 0, size);
      System.arraycopy(masks, dropped, masks, 0, size);
    }
  }

  /** Forget all. */
  void clear(StateStore store) {
    for (int i = 0; i < size; i++) {
      remove(i, store);
    }
    size = 0;
  }

  private void remove(int position, StateStore store) {
    if (masks[position] == 0) {
      store.remove(Entries.ids(tiles[position]));
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      if ((masks[position] >>> bucket & 1) == 1) {
        store.remove(Entries.ids(tiles[position], bucket));
      }
    }
  }

  /** Take over those of a ring with the same tiles. */
  void copy(IdEntries old) {
    size = old.size;
    tiles = old.tiles.clone();
    masks = old.masks.clone();
  }

  /** One id, and where it belongs. */
  interface Visitor {
    void see(long tile, int bucket, long hash);
  }

  /** Show all ids, tile by tile. */
  void forEach(Visitor visitor, StateStore store) {
    for (int i = 0; i < size; i++) {
      forEach(i, visitor, store);
    }
  }

  private void forEach(int position, Visitor visitor, StateStore store) {
    long tile = tiles[position];
    if (masks[position] == 0) {
      Bytes in = Bytes.over(entry(Entries.ids(tile), store));
      while (in.at < in.data.length) {
        visitor.see(tile, in.getByte(), in.getLong());
      }
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      if ((masks[position] >>> bucket & 1) == 1) {
        Bytes in = Bytes.over(entry(Entries.ids(tile, bucket), store));
        while (in.at < in.data.length) {
          visitor.see(tile, bucket, in.getLong());
        }
      }
    }
  }

  /** The ids of an entry; none where it has expired, though the head that names it has not. */
  private static byte[] entry(long key, StateStore store) {
    byte[] entry = store.get(key);
    return entry == null ? NONE : entry;
  }

  private int find(long tile) {
    int position = size - 1;
    while (position >= 0 && tiles[position] > tile) {
      position--;
    }
    return position >= 0 && tiles[position] == tile ? position : -2 - position;
  }

  private void insert(int position, long tile) {
    reserve(size + 1);
    System.arraycopy(tiles, position, tiles, position + 1, size - position);
    System.arraycopy(masks, position, masks, position + 1, size - position);
    tiles[position] = tile;
    masks[position] = 0;
    size++;
  }

  private void reserve(int capacity) {
    if (capacity > tiles.length) {
      tiles = Arrays.copyOf(tiles, 2 * capacity);
      masks = Arrays.copyOf(masks, 2 * capacity);
    }
  }
}
