package millrace.kernel.rolling;

import millrace.kernel.rolling.Layout.FeaturePlan;
import millrace.kernel.rolling.Layout.Ring;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.StateStore;

/**
 * One ring of the current key. Its part of the head holds the current tile (that of the newest
 * emitting row), for each window the fold of the tiles before it ("rest"), and then all other tiles
 * ("closed"). A row in the current tile needs the first two alone, and the closed tiles are copied
 * as bytes.
 */
final class RingState {
  private static final int HAS_CURRENT = 1;
  private static final int IS_APART = 2;
  private static final long NONE = Long.MIN_VALUE;

  private final Ring ring;
  private final Lanes lanes;
  private final Tiles rests;
  private final Tiles current;
  private final ClosedTiles closed;
  private final Tiles fold;
  private final boolean[] meets;
  private final Bytes in = Bytes.over(new byte[0]);
  private final Bytes scratch = new Bytes(1024);

  // As stored: this ring's bytes of the head, and where its parts begin.
  private byte[] source;
  private int from;
  private int to;
  private int restsFrom;
  private int restsTo;

  // In memory. The index of the current tile is known without loading.
  private long tileNow;
  private boolean loaded;
  private boolean changed;
  private boolean restsStale;

  RingState(Ring ring) {
    this.ring = ring;
    lanes = ring.lanes;
    rests = new Tiles(lanes, Math.max(1, ring.windows.length));
    current = new Tiles(lanes, 1);
    closed = new ClosedTiles(ring);
    fold = new Tiles(lanes, 1);
    meets = new boolean[lanes.size];
  }

  /** A key without state. */
  void reset() {
    from = 0;
    to = 0;
    tileNow = NONE;
    loaded = true;
    changed = false;
    restsStale = true;
    current.size = 0;
    closed.reset();
  }

  /** The state in {@code data} from {@code begin} until {@code end}; read when needed. */
  void open(byte[] data, int begin, int end) {
    source = data;
    from = begin;
    to = end;
    in.data = data;
    in.at = begin;
    tileNow = in.getSigned();
    closed.open((in.getByte() & IS_APART) != 0);
    restsFrom = in.at;
    loaded = false;
    changed = false;
    restsStale = false;
  }

  /**
   * Process a row that is neither late nor a duplicate.
   *
   * @param newest the newest emitting row's tile, this row's included, or Long.MIN_VALUE
   * @param holds by filter, whether the row meets it
   * @param before the floor before the row moves a clock
   * @param after the floor with it
   */
  void process(
      Operands row,
      long time,
      boolean emits,
      long newest,
      boolean[] holds,
      long before,
      long after,
      StateStore store,
      Output out) {
    long tile = ring.tile(time);
    boolean touched = tile >= after && meets(row, holds);
    if (!touched && !emits && before == after) {
      return;
    }
    load();
    if (newest != tileNow) {
      roll(newest, after, store);
    } else if (before != after) {
      closed.load(after, store);
      restsStale = true;
      changed = true;
    } else if (tile != tileNow) {
      closed.load(after, store);
    }
    if (restsStale) {
      foldRests(after);
    }
    if (emits && tile >= before) {
      evaluate(ring.before, row, time, tile, before, out);
    }
    if (touched) {
      update(row, time, tile);
    }
    if (emits && tile >= after) {
      evaluate(ring.after, row, time, tile, after, out);
    }
    if (restsStale) {
      foldRests(after);
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
    boolean now = tile == tileNow;
    Tiles tiles = now ? current : closed.tiles;
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
    changed = true;
    if (!now) {
      closed.touch(position);
      restsStale |= tile < tileNow;
    }
  }

  private void evaluate(
      FeaturePlan[] plans, Operands row, long time, long tile, long floor, Output out) {
    int folded = -1;
    for (FeaturePlan plan : plans) {
      if (plan.window() != folded) {
        folded = plan.window();
        if (tile == tileNow) {
          fold.copy(rests, folded, 0);
          int[] used = ring.windows[folded].lanes();
          Arithmetic.fold(ring, used, current, 0, current.size, fold, 0, time);
        } else {
          lanes.clear(fold, 0);
          closed.fold(ring.windows[folded], tile, tile + 1, floor, fold, 0, time);
        }
      }
      Arithmetic.finish(plan, fold, 0, row, time, out);
    }
  }

  /** Make {@code tile} the current one. */
  private void roll(long tile, long floor, StateStore store) {
    closed.load(floor, store);
    if (current.size > 0 && tileNow >= floor) {
      closed.add(tileNow, current);
    }
    current.size = 0;
    closed.take(tile, current);
    closed.rewrite();
    tileNow = tile;
    restsStale = true;
    changed = true;
  }

  private void foldRests(long floor) {
    restsStale = false;
    for (int i = 0; i < ring.windows.length; i++) {
      lanes.clear(rests, i);
      if (tileNow != NONE) {
        closed.fold(ring.windows[i], tileNow, tileNow, floor, rests, i, Long.MAX_VALUE);
      }
    }
  }

  /** Read the rests and the current tile. */
  private void load() {
    if (loaded) {
      return;
    }
    loaded = true;
    in.data = source;
    in.at = restsFrom;
    boolean hasCurrent = (source[restsFrom - 1] & HAS_CURRENT) != 0;
    for (int i = 0; i < ring.windows.length; i++) {
      lanes.read(in, rests, i, tileNow * ring.tileMs);
    }
    restsTo = in.at;
    current.size = 0;
    if (hasCurrent) {
      current.insert(0, tileNow);
      lanes.read(in, current, 0, tileNow * ring.tileMs);
    }
    closed.at(source, in.at, to);
  }

  /** Take over the tiles of a ring stored by another spec. */
  void adopt(RingState old, long newest, long floor, StateStore store) {
    reset();
    old.load();
    old.closed.load(floor, store);
    closed.adopt(old.closed);
    if (old.current.size > 0) {
      tileNow = old.tileNow;
      current.insert(0, tileNow);
      current.translate(old.current, 0, 0);
    }
    roll(newest, floor, store);
    foldRests(floor);
  }

  /** Whether its closed tiles are stored apart. */
  boolean isApart() {
    return closed.isApart();
  }

  /** Write the ring's part of the head, and what is stored apart. */
  void write(Bytes out, StateStore store) {
    if (!changed && to > from) {
      out.putVar(to - from);
      out.put(source, from, to - from);
      return;
    }
    scratch.at = 0;
    scratch.putSigned(tileNow);
    int flags = scratch.at;
    scratch.putByte(current.size > 0 ? HAS_CURRENT : 0);
    if (restsStale) {
      foldRests(NONE);
    }
    if (closed.isLoaded()) {
      for (int i = 0; i < ring.windows.length; i++) {
        lanes.write(scratch, rests, i, tileNow * ring.tileMs);
      }
    } else {
      scratch.put(source, restsFrom, restsTo - restsFrom);
    }
    if (current.size > 0) {
      lanes.write(scratch, current, 0, tileNow * ring.tileMs);
    }
    if (closed.write(scratch, store)) {
      scratch.data[flags] |= IS_APART;
    }
    out.putVar(scratch.at);
    out.put(scratch.data, 0, scratch.at);
  }
}
