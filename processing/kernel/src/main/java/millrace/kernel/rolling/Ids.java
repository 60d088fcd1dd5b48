package millrace.kernel.rolling;

import java.util.TreeMap;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.StateStore;

/**
 * The ids of the current key: which rows were applied. The newest few are in the head, the others
 * in entries of their own.
 */
final class Ids {
  private static final int OPEN = 16;

  // The open tile: the ids of the newest rows, in order of arrival.
  private long openTile;
  private int open;
  private final long[] openHashes = new long[OPEN + 1];
  private final int[] openBuckets = new int[OPEN + 1];

  private final IdEntries entries = new IdEntries();

  void reset() {
    open = 0;
    entries.reset();
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
    entries.read(in);
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
    entries.write(out);
  }

  /** The bucket of a time in a tile. */
  static int bucket(long time, long tile, long tileMs) {
    return (int) Math.floorDiv((time - tile * tileMs) * IdEntries.BUCKETS, tileMs);
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
    return entries.contains(tile, bucket, hash, newer, store);
  }

  /**
   * Remember an id.
   *
   * @param newest the tile of the newest emitting row
   */
  void add(long tile, int bucket, long hash, long newest, StateStore store) {
    if (open > 0 && openTile != tile && tile == newest) {
      close(store);
    }
    if (open == 0 ? tile != newest : openTile != tile) {
      Bytes one = new Bytes(IdEntries.STEP);
      one.putByte(bucket);
      one.putLong(hash);
      entries.append(tile, one, store);
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
    Bytes all = new Bytes(open * IdEntries.STEP);
    for (int i = 0; i < open; i++) {
      all.putByte(openBuckets[i]);
      all.putLong(openHashes[i]);
    }
    open = 0;
    entries.append(openTile, all, store);
  }

  /** Forget the tiles below {@code floor}. */
  void drop(long floor, StateStore store) {
    if (open > 0 && openTile < floor) {
      open = 0;
    }
    entries.drop(floor, store);
  }

  /**
   * Take over ids stored by a spec whose longest ring had tiles of {@code oldMs}. They can be
   * sorted into this one's buckets if those are made of whole old ones; otherwise they are
   * forgotten.
   */
  void adopt(Ids old, long oldMs, long tileMs, long floor, StateStore store) {
    if (oldMs == tileMs) {
      open = old.open;
      openTile = old.openTile;
      System.arraycopy(old.openHashes, 0, openHashes, 0, open);
      System.arraycopy(old.openBuckets, 0, openBuckets, 0, open);
      entries.copy(old.entries);
      return;
    }
    reset();
    boolean nested = oldMs % IdEntries.BUCKETS == 0 && tileMs % oldMs == 0;
    Moved moved = new Moved(oldMs, tileMs, floor);
    old.entries.forEach(moved::add, store);
    for (int i = 0; i < old.open; i++) {
      moved.add(old.openTile, old.openBuckets[i], old.openHashes[i]);
    }
    // All that was is gone before any of the new is written: both may use the same entry.
    old.entries.clear(store);
    if (nested) {
      moved.tiles.forEach((tile, ids) -> entries.append(tile, ids, store));
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
      long time = oldTile * oldMs + oldBucket * (oldMs / IdEntries.BUCKETS);
      long tile = Math.floorDiv(time, tileMs);
      if (tile >= floor) {
        Bytes ids = tiles.computeIfAbsent(tile, t -> new Bytes(8 * IdEntries.STEP));
        ids.putByte(bucket(time, tile, tileMs));
        ids.putLong(hash);
      }
    }
  }
}
