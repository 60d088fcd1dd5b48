package millrace.kernel.rolling;

import java.util.Arrays;
import java.util.TreeMap;

/**
 * The ids of the current key: which rows were applied. The newest few are in the head. Those of
 * older tiles of the longest ring are stored apart, one entry a tile while they are few, one entry
 * a 32nd of a tile ("bucket") when they are many; the head knows which entries there are, so that a
 * row whose bucket is not among them is known to be new without looking.
 */
final class Ids {
  static final int BUCKETS = 32;

  /** Ids a bucket remembers. */
  static final int MOST = 4096;

  private static final int OPEN = 16;
  private static final int FEW = 64;
  private static final int STEP = 9; // bytes of an id outside a bucket's own entry: bucket, hash

  // The open tile: the ids of the newest rows, in order of arrival.
  private long openTile;
  private int open;
  private final long[] openHashes = new long[OPEN + 1];
  private final int[] openBuckets = new int[OPEN + 1];

  // The tiles with entries of their own, ascending, and which of their buckets have an entry (0:
  // one entry for all).
  private int size;
  private long[] tiles = new long[40];
  private int[] masks = new int[40];

  void reset() {
    open = 0;
    size = 0;
  }

  void read(Bytes in) {
    open = in.getByte();
    if (open > 0) {
      openTile = in.getSigned();
      for (int i = 0; i < open; i++) {
        openBuckets[i] = in.getByte();
        openHashes[i] = in.getLong();
      }
    }
    size = (int) in.getVar();
    reserve(size);
    for (int i = 0; i < size; i++) {
      tiles[i] = i == 0 ? in.getSigned() : tiles[i - 1] + in.getVar();
      masks[i] = (int) in.getVar();
    }
  }

  void write(Bytes out) {
    out.putByte(open);
    if (open > 0) {
      out.putSigned(openTile);
      for (int i = 0; i < open; i++) {
        out.putByte(openBuckets[i]);
        out.putLong(openHashes[i]);
      }
    }
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

  /** The bucket of a time in a tile. */
  static int bucket(long time, long tile, long tileMs) {
    return (int) Math.floorDiv((time - tile * tileMs) * BUCKETS, tileMs);
  }

  boolean contains(long tile, int bucket, long hash, StateStore store) {
    int newer = 0;
    if (open > 0 && openTile == tile) {
      for (int i = 0; i < open; i++) {
        if (openHashes[i] == hash && openBuckets[i] == bucket) {
          return true;
        }
        newer += openBuckets[i] == bucket ? 1 : 0;
      }
    }
    int position = find(tile);
    if (position < 0) {
      return false;
    }
    if (masks[position] == 0) {
      Bytes in = Bytes.over(entry(StateStore.ids(tile), store));
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
    Bytes in = Bytes.over(entry(StateStore.ids(tile, bucket), store));
    in.at = Math.max(0, in.data.length / 8 + newer - MOST) * 8;
    while (in.at < in.data.length) {
      if (in.getLong() == hash) {
        return true;
      }
    }
    return false;
  }

  /**
   * Remembers an id.
   *
   * @param newest the tile of the newest emitting row
   */
  void add(long tile, int bucket, long hash, long newest, StateStore store) {
    if (open > 0 && openTile != tile && tile == newest) {
      close(store);
    }
    if (open == 0 ? tile != newest : openTile != tile) {
      Bytes one = new Bytes(STEP);
      one.putByte(bucket);
      one.putLong(hash);
      append(tile, one, store);
      return;
    }
    openTile = tile;
    openBuckets[open] = bucket;
    openHashes[open++] = hash;
    if (open > OPEN) {
      close(store);
    }
  }

  private void close(StateStore store) {
    Bytes all = new Bytes(open * STEP);
    for (int i = 0; i < open; i++) {
      all.putByte(openBuckets[i]);
      all.putLong(openHashes[i]);
    }
    open = 0;
    append(openTile, all, store);
  }

  /** Adds ids to the entries of a tile. */
  private void append(long tile, Bytes added, StateStore store) {
    int position = find(tile);
    if (position < 0) {
      position = -1 - position;
      insert(position, tile);
    } else if (masks[position] == 0) {
      byte[] stored = entry(StateStore.ids(tile), store);
      byte[] all = Arrays.copyOf(stored, stored.length + added.at);
      System.arraycopy(added.data, 0, all, stored.length, added.at);
      added.data = all;
      added.at = all.length;
    }
    if (masks[position] == 0 && added.at <= FEW * STEP) {
      store.put(StateStore.ids(tile), added.copy());
      return;
    }
    if (masks[position] == 0) {
      store.remove(StateStore.ids(tile));
    }
    scatter(tile, position, added, store);
  }

  /** Adds ids to the buckets of a tile, each written once. */
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
        byte[] stored = entry(StateStore.ids(tile, bucket), store);
        all.put(stored, 0, stored.length);
      }
      for (int at = 0; at < added.at; at += STEP) {
        if (added.data[at] == bucket) {
          all.put(added.data, at + 1, 8);
        }
      }
      int from = Math.max(0, all.at - MOST * 8);
      store.put(StateStore.ids(tile, bucket), Arrays.copyOfRange(all.data, from, all.at));
    }
    masks[position] |= todo;
  }

  /** Forgets the tiles below {@code floor}. */
  void drop(long floor, StateStore store) {
    if (open > 0 && openTile < floor) {
      open = 0;
    }
    int dropped = 0;
    while (dropped < size && tiles[dropped] < floor) {
      removeEntries(dropped++, store);
    }
    if (dropped > 0) {
      size -= dropped;
      System.arraycopy(tiles, dropped, tiles, 0, size);
      System.arraycopy(masks, dropped, masks, 0, size);
    }
  }

  private void removeEntries(int position, StateStore store) {
    if (masks[position] == 0) {
      store.remove(StateStore.ids(tiles[position]));
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      if ((masks[position] >>> bucket & 1) == 1) {
        store.remove(StateStore.ids(tiles[position], bucket));
      }
    }
  }

  /**
   * Takes over ids stored by a spec whose longest ring had tiles of {@code oldMs}. They can be
   * sorted into this one's buckets if those are made of whole old ones; otherwise they are
   * forgotten.
   */
  void adopt(Ids old, long oldMs, long tileMs, long floor, StateStore store) {
    if (oldMs == tileMs) {
      open = old.open;
      openTile = old.openTile;
      System.arraycopy(old.openHashes, 0, openHashes, 0, open);
      System.arraycopy(old.openBuckets, 0, openBuckets, 0, open);
      size = old.size;
      tiles = old.tiles.clone();
      masks = old.masks.clone();
      return;
    }
    reset();
    boolean nested = oldMs % BUCKETS == 0 && tileMs % oldMs == 0;
    Moved moved = new Moved(oldMs, tileMs, floor);
    for (int i = 0; i < old.size; i++) {
      old.collect(i, moved, store);
    }
    for (int i = 0; i < old.open; i++) {
      moved.add(old.openTile, old.openBuckets[i], old.openHashes[i]);
    }
    // All that was is gone before any of the new is written: both may use the same entry.
    for (int i = 0; i < old.size; i++) {
      old.removeEntries(i, store);
    }
    if (nested) {
      moved.tiles.forEach((tile, ids) -> append(tile, ids, store));
    }
  }

  private void collect(int position, Moved moved, StateStore store) {
    long tile = tiles[position];
    if (masks[position] == 0) {
      Bytes in = Bytes.over(entry(StateStore.ids(tile), store));
      while (in.at < in.data.length) {
        moved.add(tile, in.getByte(), in.getLong());
      }
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      if ((masks[position] >>> bucket & 1) == 1) {
        Bytes in = Bytes.over(entry(StateStore.ids(tile, bucket), store));
        while (in.at < in.data.length) {
          moved.add(tile, bucket, in.getLong());
        }
      }
    }
  }

  /** Ids on their way into larger tiles. */
  private static final class Moved {
    final TreeMap<Long, Bytes> tiles = new TreeMap<>();
    private final long oldMs;
    private final long tileMs;
    private final long floor;

    Moved(long oldMs, long tileMs, long floor) {
      this.oldMs = oldMs;
      this.tileMs = tileMs;
      this.floor = floor;
    }

    void add(long oldTile, int oldBucket, long hash) {
      long time = oldTile * oldMs + oldBucket * (oldMs / BUCKETS);
      long tile = Math.floorDiv(time, tileMs);
      if (tile >= floor) {
        Bytes ids = tiles.computeIfAbsent(tile, t -> new Bytes(8 * STEP));
        ids.putByte(bucket(time, tile, tileMs));
        ids.putLong(hash);
      }
    }
  }

  private static byte[] entry(long key, StateStore store) {
    byte[] entry = store.get(key);
    if (entry == null) {
      throw new IllegalStateException("rolling: an entry of ids is missing");
    }
    return entry;
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
