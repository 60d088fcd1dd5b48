package millrace.kernel.rolling;

import java.util.Arrays;
import millrace.kernel.rolling.Layout.FeaturePlan;
import millrace.kernel.rolling.Layout.Ring;

/**
 * One ring of the current key. Its part of the head holds the current tile (that of the newest
 * emitting row), for each window the fold of the tiles before it ("rest"), and then all other tiles
 * ("closed"). A row in the current tile needs the first two alone, and the closed tiles are copied
 * as bytes. When these grow large they are stored in an entry of their own ("apart") that such rows
 * never touch.
 */
final class RingState {
  /** Bytes of closed tiles above which they are stored apart. */
  static final int APART = 768;

  /** Bytes below which they come back: not the same, so that they do not go to and fro. */
  private static final int BACK = APART / 2;

  private static final int HAS_CURRENT = 1;
  private static final int IS_APART = 2;
  private static final long NONE = Long.MIN_VALUE;

  private final Ring ring;
  private final Lanes lanes;
  private final Tiles rests;
  private final Tiles current;
  private final Tiles closed;
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
  private int closedFrom;
  private boolean apart;

  // In memory. The index of the current tile is known without loading.
  private long tileNow;
  private boolean loaded;
  private boolean closedLoaded;
  private boolean changed;
  private boolean restsStale;
  // Closed tiles from this position on are no longer as stored.
  private int closedChanged;
  private boolean closedRewrite;

  RingState(Ring ring) {
    this.ring = ring;
    lanes = ring.lanes;
    rests = new Tiles(lanes, Math.max(1, ring.windows.length));
    current = new Tiles(lanes, 1);
    closed = new Tiles(lanes, 64);
    fold = new Tiles(lanes, 1);
    meets = new boolean[lanes.size];
  }

  /** A key without state. */
  void reset() {
    from = 0;
    to = 0;
    apart = false;
    tileNow = NONE;
    loaded = true;
    closedLoaded = true;
    changed = false;
    restsStale = true;
    closedChanged = 0;
    closedRewrite = false;
    current.size = 0;
    closed.size = 0;
  }

  /** The state in {@code data} from {@code begin} until {@code end}; read when needed. */
  void open(byte[] data, int begin, int end) {
    source = data;
    from = begin;
    to = end;
    in.data = data;
    in.at = begin;
    tileNow = in.getSigned();
    apart = (in.getByte() & IS_APART) != 0;
    restsFrom = in.at;
    loaded = false;
    closedLoaded = false;
    changed = false;
    restsStale = false;
    closedRewrite = false;
  }

  /**
   * Sees a row that is neither late nor a duplicate.
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
      loadClosed(after, store);
      restsStale = true;
      changed = true;
    } else if (tile != tileNow) {
      loadClosed(after, store);
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
    Tiles tiles = tile == tileNow ? current : closed;
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
    if (tiles == closed) {
      closedChanged = Math.min(closedChanged, position);
      closedRewrite = true;
      restsStale |= tile < tileNow;
    }
  }

  private void evaluate(
      FeaturePlan[] plans, Operands row, long time, long tile, long floor, Output out) {
    int folded = -1;
    for (FeaturePlan plan : plans) {
      if (plan.window() != folded) {
        folded = plan.window();
        int[] used = ring.windows[folded].lanes();
        if (tile == tileNow) {
          fold.copy(rests, folded, 0);
          Arithmetic.fold(ring, used, current, 0, current.size, fold, 0, time);
        } else {
          lanes.clear(fold, 0);
          long oldest = Math.max(tile - ring.windows[folded].tiles() + 1, floor);
          int end = closed.position(tile + 1);
          Arithmetic.fold(ring, used, closed, closed.position(oldest), end, fold, 0, time);
        }
      }
      Arithmetic.finish(plan, fold, 0, row, time, out);
    }
  }

  /** Makes {@code tile} the current one. */
  private void roll(long tile, long floor, StateStore store) {
    loadClosed(floor, store);
    if (current.size > 0 && tileNow >= floor) {
      int position = -1 - closed.find(tileNow);
      closed.insert(position, tileNow);
      closed.copy(current, 0, position);
      closedChanged = Math.min(closedChanged, position);
    }
    current.size = 0;
    int ahead = closed.find(tile);
    if (ahead >= 0) {
      current.insert(0, tile);
      current.copy(closed, ahead, 0);
      closed.remove(ahead);
      closedChanged = Math.min(closedChanged, ahead);
    }
    tileNow = tile;
    restsStale = true;
    changed = true;
    closedRewrite = true;
  }

  private void foldRests(long floor) {
    restsStale = false;
    int end = tileNow == NONE ? 0 : closed.position(tileNow);
    for (int i = 0; i < ring.windows.length; i++) {
      lanes.clear(rests, i);
      if (end > 0) {
        int begin = closed.position(Math.max(tileNow - ring.windows[i].tiles() + 1, floor));
        Arithmetic.fold(
            ring, ring.windows[i].lanes(), closed, begin, end, rests, i, Long.MAX_VALUE);
      }
    }
  }

  /** Reads the rests and the current tile. */
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
    closedFrom = in.at;
  }

  /** Reads the closed tiles from {@code floor} on. */
  private void loadClosed(long floor, StateStore store) {
    if (closedLoaded) {
      return;
    }
    closedLoaded = true;
    in.data = source;
    in.at = closedFrom;
    if (apart) {
      in.data = store.get(StateStore.ring(ring.tileMs));
      in.at = 0;
      if (in.data == null) {
        throw new IllegalStateException("rolling: the tiles of " + ring.tileMs + " ms are missing");
      }
    }
    int n = (int) in.getVar();
    closed.reserve(n + 1);
    closed.source = in.data;
    int size = 0;
    long tile = 0;
    for (int i = 0; i < n; i++) {
      tile = i == 0 ? in.getSigned() : tile + in.getVar();
      closed.begin[size] = in.at;
      lanes.read(in, closed, size, tile * ring.tileMs);
      closed.end[size] = in.at;
      closed.index[size] = tile;
      size += tile >= floor ? 1 : 0;
    }
    closed.size = size;
    closedChanged = size;
  }

  /** Takes over the tiles of a ring stored by another spec. */
  void adopt(RingState old, long newest, long floor, StateStore store) {
    reset();
    apart = old.apart;
    old.load();
    old.loadClosed(floor, store);
    for (int i = 0; i < old.closed.size; i++) {
      closed.insert(i, old.closed.index[i]);
      closed.translate(old.closed, i, i);
    }
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
    return apart;
  }

  /** Writes the ring's part of the head, and what is stored apart. */
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
    if (closedLoaded) {
      for (int i = 0; i < ring.windows.length; i++) {
        lanes.write(scratch, rests, i, tileNow * ring.tileMs);
      }
    } else {
      scratch.put(source, restsFrom, restsTo - restsFrom);
    }
    if (current.size > 0) {
      lanes.write(scratch, current, 0, tileNow * ring.tileMs);
    }
    if (!closedRewrite && to > from) {
      scratch.data[flags] |= (byte) (apart ? IS_APART : 0);
      scratch.put(source, closedFrom, to - closedFrom);
    } else {
      writeClosed(flags, store);
    }
    out.putVar(scratch.at);
    out.put(scratch.data, 0, scratch.at);
  }

  private void writeClosed(int flags, StateStore store) {
    int begin = scratch.at;
    int size = closed.size;
    scratch.putVar(size);
    if (size > 0) {
      scratch.putSigned(closed.index[0]);
    }
    int same = Math.min(closedChanged, size);
    if (same > 0) {
      int length = closed.end[same - 1] - closed.begin[0];
      scratch.put(closed.source, closed.begin[0], length);
    }
    for (int i = same; i < size; i++) {
      if (i > 0) {
        scratch.putVar(closed.index[i] - closed.index[i - 1]);
      }
      lanes.write(scratch, closed, i, closed.index[i] * ring.tileMs);
    }
    int bytes = scratch.at - begin;
    if (bytes > (apart ? BACK : APART)) {
      byte[] value = Arrays.copyOfRange(scratch.data, begin, scratch.at);
      store.put(StateStore.ring(ring.tileMs), value);
      scratch.at = begin;
      scratch.data[flags] |= IS_APART;
    } else if (apart) {
      store.remove(StateStore.ring(ring.tileMs));
    }
  }
}
