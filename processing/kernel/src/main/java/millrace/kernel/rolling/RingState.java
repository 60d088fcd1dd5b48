package millrace.kernel.rolling;

import millrace.kernel.rolling.Layout.FeaturePlan;
import millrace.kernel.rolling.Layout.Ring;
import millrace.kernel.rolling.Layout.Window;

/**
 * One ring of the current key. Few tiles are stored in the head. Many are stored apart ("spilled"):
 * then the head holds the tile of the newest emitting row, and for each window the fold of the
 * tiles before it ("rest"), which is all that a row in that tile needs.
 */
final class RingState {
  /**
   * Bytes of tiles above which a ring is stored apart from the head, and below which it comes back.
   */
  static final int SPILL = 512;

  private static final int UNSPILL = SPILL / 2;
  private static final long NONE = Long.MIN_VALUE;

  private final Ring ring;
  private final Tiles tiles;
  private final Tiles rests;
  private final Tiles fold;
  private final Bytes scratch = new Bytes(1024);
  private final boolean[] meets;

  // As stored: the bytes of the head that are this ring's, and where its rests are among them.
  private byte[] source;
  private int from;
  private int to;
  private boolean spilled;
  private long current;
  private int restsTo;

  // In memory: nothing, the current tile and the rests, or all tiles.
  private boolean partial;
  private boolean full;
  private boolean dirty;

  RingState(Ring ring) {
    this.ring = ring;
    tiles = new Tiles(ring.lanes, 64);
    rests = new Tiles(ring.lanes, Math.max(1, ring.windows.length));
    fold = new Tiles(ring.lanes, 1);
    meets = new boolean[ring.lanes.size];
  }

  /** A key without state. */
  void reset() {
    from = 0;
    to = 0;
    spilled = false;
    partial = false;
    full = true;
    dirty = false;
    tiles.size = 0;
  }

  /** The state in {@code data} from {@code begin} until {@code end}; read when needed. */
  void open(byte[] data, int begin, int end) {
    source = data;
    from = begin;
    to = end;
    partial = false;
    full = false;
    dirty = false;
    spilled = data[begin] == 0;
    if (spilled) {
      Bytes in = reader(data, begin + 1);
      current = in.getSigned();
    }
  }

  private Bytes reader(byte[] data, int at) {
    Bytes in = Bytes.over(data);
    in.at = at;
    return in;
  }

  /**
   * Sees a row that is neither late nor a duplicate.
   *
   * @param holds by filter, whether the row meets it
   * @param before the floor before the row moves a clock
   * @param after the floor with it
   */
  void process(
      Operands row,
      long time,
      boolean emits,
      boolean[] holds,
      long before,
      long after,
      StateStore store,
      Output out) {
    long tile = ring.tile(time);
    boolean touched = tile >= after && meets(row, holds);
    if (!touched && !emits) {
      if (spilled && before != after) {
        load(after, store);
        dirty = true;
      }
      return;
    }
    if (!full) {
      if (spilled && tile == current && before == after) {
        loadCurrent();
      } else {
        load(after, store);
      }
    }
    dirty |= spilled && before != after;
    if (emits && tile >= before) {
      evaluate(ring.before, row, time, tile, before, out);
    }
    if (touched) {
      update(row, time, tile);
    }
    if (emits && tile >= after) {
      evaluate(ring.after, row, time, tile, after, out);
    }
  }

  private boolean meets(Operands row, boolean[] holds) {
    boolean any = false;
    for (int lane = 0; lane < meets.length; lane++) {
      meets[lane] = holds[ring.filters[lane]] && row.has(ring.operands[lane]);
      any |= meets[lane];
    }
    return any;
  }

  private void update(Operands row, long time, long tile) {
    int position = tiles.find(tile);
    if (position < 0) {
      position = -1 - position;
      tiles.insert(position, tile);
    }
    for (int lane = 0; lane < meets.length; lane++) {
      if (meets[lane]) {
        Arithmetic.apply(ring, lane, tiles, position, row, time);
      }
    }
    dirty = true;
  }

  private void evaluate(
      FeaturePlan[] plans, Operands row, long time, long tile, long floor, Output out) {
    int folded = -1;
    for (FeaturePlan plan : plans) {
      if (plan.window() != folded) {
        folded = plan.window();
        Window window = ring.windows[folded];
        if (partial) {
          fold.copy(rests, folded, 0);
          Arithmetic.fold(ring, window.lanes(), tiles, 0, tiles.size, fold, 0, time);
        } else {
          fold.lanes.clear(fold, 0);
          long oldest = Math.max(tile - window.tiles() + 1, floor);
          int end = tiles.position(tile + 1);
          int begin = end;
          while (begin > 0 && tiles.index[begin - 1] >= oldest) {
            begin--;
          }
          Arithmetic.fold(ring, window.lanes(), tiles, begin, end, fold, 0, time);
        }
      }
      Arithmetic.finish(plan, fold, 0, row, time, out);
    }
  }

  private void loadCurrent() {
    Bytes in = reader(source, from + 1);
    in.getSigned();
    for (int i = 0; i < ring.windows.length; i++) {
      ring.lanes.read(in, rests, i, current * ring.tileMs);
    }
    restsTo = in.at;
    readCurrent(in);
    partial = true;
    full = true;
  }

  private void readCurrent(Bytes in) {
    tiles.size = 0;
    if (in.getByte() == 1) {
      tiles.insert(0, current);
      ring.lanes.read(in, tiles, 0, current * ring.tileMs);
    }
  }

  /** Reads all tiles from {@code floor} on. */
  private void load(long floor, StateStore store) {
    if (full && !partial) {
      return;
    }
    readInto(tiles, floor, store);
    partial = false;
    full = true;
  }

  /** Reads the stored tiles from {@code floor} on into {@code all}, whose lanes are this ring's. */
  private void readInto(Tiles all, long floor, StateStore store) {
    Bytes in = reader(source, from);
    if (!spilled) {
      readTiles(in, all, floor);
      return;
    }
    in.at++;
    in.getSigned();
    for (int i = 0; i < ring.windows.length; i++) {
      ring.lanes.read(in, rests, i, current * ring.tileMs);
    }
    byte[] apart = store.get(StateStore.ring(ring.tileMs));
    if (apart == null) {
      throw new IllegalStateException("rolling: the tiles of " + ring.tileMs + " ms are missing");
    }
    readTiles(Bytes.over(apart), all, floor);
    if (in.getByte() == 1) {
      int position = -1 - all.find(current);
      all.insert(position, current);
      ring.lanes.read(in, all, position, current * ring.tileMs);
      if (current < floor) {
        all.remove(position);
      }
    }
  }

  private void readTiles(Bytes in, Tiles all, long floor) {
    int n = (int) in.getVar() - 1;
    all.reserve(n + 1);
    int size = 0;
    long tile = 0;
    for (int i = 0; i < n; i++) {
      tile = i == 0 ? in.getSigned() : tile + in.getVar();
      ring.lanes.read(in, all, size, tile * ring.tileMs);
      all.index[size] = tile;
      size += tile >= floor ? 1 : 0;
    }
    all.size = size;
  }

  private void writeTiles(Bytes out, int without) {
    int n = tiles.size - (without < 0 ? 0 : 1);
    out.putVar(n + 1L);
    long before = 0;
    boolean first = true;
    for (int i = 0; i < tiles.size; i++) {
      if (i != without) {
        long tile = tiles.index[i];
        if (first) {
          out.putSigned(tile);
          first = false;
        } else {
          out.putVar(tile - before);
        }
        ring.lanes.write(out, tiles, i, tile * ring.tileMs);
        before = tile;
      }
    }
  }

  /** Takes over the tiles of a ring stored by another spec. */
  void adopt(RingState old, long floor, StateStore store) {
    reset();
    spilled = old.spilled;
    dirty = true;
    old.load(floor, store);
    for (int i = 0; i < old.tiles.size; i++) {
      tiles.insert(i, old.tiles.index[i]);
      tiles.translate(old.tiles, i, i);
    }
  }

  /** Whether its tiles are stored apart. */
  boolean isSpilled() {
    return spilled;
  }

  /**
   * Writes the ring's part of the head, and what is stored apart.
   *
   * @param newest the tile of the newest emitting row, or Long.MIN_VALUE
   * @param floor the oldest tile kept
   */
  void write(Bytes out, long newest, long floor, StateStore store) {
    if (!dirty) {
      if (to == from) {
        out.putVar(1);
        out.putVar(1);
      } else {
        out.putVar(to - from);
        out.put(source, from, to - from);
      }
      return;
    }
    scratch.at = 0;
    if (partial) {
      scratch.put(source, from, restsTo - from);
      writeCurrent(tiles.size - 1);
    } else {
      writeTiles(scratch, -1);
      if (scratch.at > (spilled ? UNSPILL : SPILL)) {
        spill(newest, floor, store);
      } else if (spilled) {
        store.remove(StateStore.ring(ring.tileMs));
      }
    }
    out.putVar(scratch.at);
    out.put(scratch.data, 0, scratch.at);
  }

  private void spill(long newest, long floor, StateStore store) {
    int without = newest == NONE ? -1 : Math.max(-1, tiles.find(newest));
    scratch.at = 0;
    writeTiles(scratch, without);
    store.put(StateStore.ring(ring.tileMs), scratch.copy());
    scratch.at = 0;
    scratch.putByte(0);
    scratch.putSigned(newest);
    int end = tiles.position(newest);
    current = newest;
    for (int i = 0; i < ring.windows.length; i++) {
      ring.lanes.clear(rests, i);
      long oldest = newest == NONE ? NONE : Math.max(newest - ring.windows[i].tiles() + 1, floor);
      int begin = tiles.position(oldest);
      if (begin < end) {
        Arithmetic.fold(ring, ring.windows[i].lanes(), tiles, begin, end, rests, i, Long.MAX_VALUE);
      }
      ring.lanes.write(scratch, rests, i, newest * ring.tileMs);
    }
    writeCurrent(without);
  }

  private void writeCurrent(int position) {
    scratch.putByte(position < 0 ? 0 : 1);
    if (position >= 0) {
      ring.lanes.write(scratch, tiles, position, current * ring.tileMs);
    }
  }
}
