package millrace.kernel.rolling;

import java.util.Arrays;
import millrace.kernel.rolling.Layout.Ring;
import millrace.kernel.rolling.Layout.Window;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.StateStore;

/**
 * The tiles of one ring of the current key but the current one. They are read when a row needs
 * them, and written when one has changed. While they are few they stand at the end of the ring's
 * part of the head; when they grow large they are stored in an entry of their own ("apart") that a
 * row in the current tile never touches.
 */
final class ClosedTiles {
  /** Bytes above which they are stored apart. */
  static final int APART = 768;

  /** Bytes below which they come back: not the same, so that they do not go to and fro. */
  private static final int BACK = APART / 2;

  final Tiles tiles;

  private final Ring ring;
  private final Lanes lanes;
  private final Bytes in = Bytes.over(new byte[0]);

  // As stored: the end of the ring's part of the head, empty when they are apart.
  private boolean stored;
  private byte[] source;
  private int from;
  private int to;
  private boolean apart;

  private boolean loaded;
  private boolean changed;
  // Tiles before this position are as stored.
  private int same;

  ClosedTiles(Ring ring) {
    this.ring = ring;
    lanes = ring.lanes;
    tiles = new Tiles(lanes, 64);
  }

  /** None: of a key without state. */
  void reset() {
    stored = false;
    apart = false;
    loaded = true;
    changed = false;
    same = 0;
    tiles.size = 0;
  }

  /** Those of another key, whose place is told by {@link #at} before they are needed. */
  void open(boolean apart) {
    stored = true;
    this.apart = apart;
    loaded = false;
    changed = false;
  }

  /** They are in {@code data} from {@code begin} until {@code end}, if not apart. */
  void at(byte[] data, int begin, int end) {
    source = data;
    from = begin;
    to = end;
  }

  boolean isApart() {
    return apart;
  }

  boolean isLoaded() {
    return loaded;
  }

  /** Read those from {@code floor} on, unless that was done. */
  void load(long floor, StateStore store) {
    if (loaded) {
      return;
    }
    loaded = true;
    in.data = source;
    in.at = from;
    if (apart) {
      in.data = store.get(Entries.ring(ring.tileMs));
      in.at = 0;
    }
    // An entry apart that has expired, though the head that names it has not, holds no tile.
    int n = in.data == null ? 0 : (int) in.getVar();
    tiles.reserve(n + 1);
    tiles.source = in.data;
    int size = 0;
    long tile = 0;
    for (int i = 0; i < n; i++) {
      tile = i == 0 ? in.getSigned() : tile + in.getVar();
      tiles.begin[size] = in.at;
      lanes.read(in, tiles, size, tile * ring.tileMs);
      tiles.end[size] = in.at;
      tiles.index[size] = tile;
      size += tile >= floor ? 1 : 0;
    }
    tiles.size = size;
    same = size;
  }

  /** Add {@code tile}, which is not among them, with the values that {@code one} begins with. */
  void add(long tile, Tiles one) {
    int position = -1 - tiles.find(tile);
    tiles.insert(position, tile);
    tiles.copy(one, 0, position);
    touch(position);
  }

  /** Move {@code tile}, if it is among them, into {@code empty}. */
  void take(long tile, Tiles empty) {
    int position = tiles.find(tile);
    if (position >= 0) {
      empty.insert(0, tile);
      empty.copy(tiles, position, 0);
      tiles.remove(position);
      touch(position);
    }
  }

  /**
   * Fold those of {@code window} as it ends with tile {@code newest}, before tile {@code end} and
   * not below {@code floor}, into {@code into} at {@code position}.
   */
  void fold(Window window, long newest, long end, long floor, Tiles into, int position, long time) {
    int last = tiles.position(end);
    if (last > 0) {
      int first = tiles.position(Math.max(newest - window.tiles() + 1, floor));
      Arithmetic.fold(ring, window.lanes(), tiles, first, last, into, position, time);
    }
  }

  /** Has the caller's change of the tile at {@code position}, or of which are behind it, stored. */
  void touch(int position) {
    same = Math.min(same, position);
    changed = true;
  }

  /** Has them stored again, without those that {@link #load} left out. */
  void rewrite() {
    changed = true;
  }

  /** Has them stored where {@code old}, of the same tile length, has its own. */
  void adopt(ClosedTiles old) {
    apart = old.apart;
    for (int i = 0; i < old.tiles.size; i++) {
      tiles.insert(i, old.tiles.index[i]);
      tiles.translate(old.tiles, i, i);
    }
  }

  /** Write them behind the ring's part of the head, or apart; return which, true for apart. */
  boolean write(Bytes out, StateStore store) {
    if (stored && !changed) {
      out.put(source, from, to - from);
      return apart;
    }
    int begin = out.at;
    writeAll(out);
    int bytes = out.at - begin;
    if (bytes > (apart ? BACK : APART)) {
      store.put(Entries.ring(ring.tileMs), Arrays.copyOfRange(out.data, begin, out.at));
      out.at = begin;
      return true;
    }
    if (apart) {
      store.remove(Entries.ring(ring.tileMs));
    }
    return false;
  }

  private void writeAll(Bytes out) {
    int size = tiles.size;
    out.putVar(size);
    if (size > 0) {
      out.putSigned(tiles.index[0]);
    }
    int copied = Math.min(same, size);
    if (copied > 0) {
      int length = tiles.end[copied - 1] - tiles.begin[0];
      out.put(tiles.source, tiles.begin[0], length);
    }
    for (int i = copied; i < size; i++) {
      if (i > 0) {
        out.putVar(tiles.index[i] - tiles.index[i - 1]);
      }
      lanes.write(out, tiles, i, tiles.index[i] * ring.tileMs);
    }
  }
}
