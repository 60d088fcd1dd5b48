package millrace.kernel.rolling;

import java.util.Arrays;
import millrace.kernel.rolling.Layout.Ring;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.Hash;
import millrace.kernel.state.StateStore;

/**
 * Computes the features of one row after the other, each with the {@link StateStore} of its key;
 * docs/rolling.md says what. Knows nothing of Flink, no clock, and keeps nothing of a key between
 * calls. Belongs to one thread.
 */
final class Engine {
  private final Layout layout;
  private final Output out;
  private final byte[] signature;
  private final RingState[] rings;
  private final Ids ids = new Ids();
  private final boolean[] holds;
  private final long[] before;
  private final long[] after;
  private final Bytes head = new Bytes(4096);
  private final Bytes in = Bytes.over(new byte[0]);

  private long newest;
  private long ahead;

  Engine(Layout layout) {
    this.layout = layout;
    out = new Output(layout.outputs);
    signature = Signature.of(layout);
    rings = new RingState[layout.rings.length];
    for (int i = 0; i < rings.length; i++) {
      rings[i] = new RingState(layout.rings[i]);
    }
    holds = new boolean[layout.filters.length];
    before = new long[rings.length];
    after = new long[rings.length];
  }

  /** Where {@link #process} leaves its result. */
  Output output() {
    return out;
  }

  /**
   * Process the next row of a key; return whether it is emitted, with what {@link #output()} holds
   * then. A row that passes does not touch {@code store}.
   */
  boolean process(Row row, StateStore store) {
    out.clear();
    if (layout.pass != null && layout.pass.holds(row)) {
      return true;
    }
    boolean emits = layout.emit.holds(row);
    if (row.isNull(layout.timeColumn)) {
      out.late = true;
      return emits;
    }
    long time = row.time(layout.timeColumn);
    open(store);
    Ring longest = layout.longest;
    long tile = longest.tile(time);
    if (tile < longest.floor(newest, ahead, layout.span)) {
      out.late = true;
      return emits;
    }
    boolean hasId = layout.idColumn >= 0 && !row.isNull(layout.idColumn);
    long hash = hasId ? Hash.of(row.text(layout.idColumn), time) : 0;
    int bucket = hasId ? Ids.bucket(time, tile, longest.tileMs) : 0;
    if (hasId && ids.contains(tile, bucket, hash, store)) {
      out.duplicate = true;
      return emits;
    }
    apply(row, time, emits, store);
    if (layout.idColumn >= 0) {
      ids.drop(longest.floor(newest, ahead, layout.span), store);
    }
    if (hasId) {
      ids.add(
          tile, bucket, hash, newest == Lanes.NEVER ? Long.MIN_VALUE : longest.tile(newest), store);
    }
    write(store);
    return emits;
  }

  private void apply(Row row, long time, boolean emits, StateStore store) {
    for (int i = 0; i < rings.length; i++) {
      before[i] = layout.rings[i].floor(newest, ahead, layout.span);
    }
    if (emits) {
      newest = Math.max(newest, time);
    } else {
      ahead = Math.max(ahead, time);
    }
    layout.operands.load(row);
    for (int i = 0; i < holds.length; i++) {
      holds[i] = layout.filters[i].holds(row);
    }
    for (int i = 0; i < rings.length; i++) {
      after[i] = layout.rings[i].floor(newest, ahead, layout.span);
      rings[i].process(
          layout.operands, time, emits, newest(i), holds, before[i], after[i], store, out);
    }
  }

  /** The newest emitting row's tile of a ring, or Long.MIN_VALUE. */
  private long newest(int ring) {
    return newest == Lanes.NEVER ? Long.MIN_VALUE : layout.rings[ring].tile(newest);
  }

  private void open(StateStore store) {
    byte[] data = store.get(StateStore.HEAD);
    newest = Lanes.NEVER;
    ahead = Lanes.NEVER;
    if (data == null) {
      ids.reset();
      for (RingState ring : rings) {
        ring.reset();
      }
      return;
    }
    in.data = data;
    int n = signature.length;
    if (data.length < n || !Arrays.equals(data, 0, n, signature, 0, n)) {
      migrate(data, store);
      write(store);
      open(store);
      return;
    }
    in.at = n;
    readClocks(in);
    if (layout.idColumn >= 0) {
      ids.read(in);
    }
    for (RingState ring : rings) {
      openRing(ring, in);
    }
  }

  private void readClocks(Bytes from) {
    int started = from.getByte();
    newest = (started & 1) == 0 ? Lanes.NEVER : from.getSigned();
    ahead = (started & 2) == 0 ? Lanes.NEVER : from.getSigned();
  }

  private static void openRing(RingState ring, Bytes from) {
    int length = (int) from.getVar();
    ring.open(from.data, from.at, from.at + length);
    from.at += length;
  }

  /**
   * Read a head written for another spec: lanes are known by their identity, the rest starts empty
   * or goes. Rewritten at once, whole.
   */
  private void migrate(byte[] data, StateStore store) {
    Bytes from = Bytes.over(data);
    Signature.Stored stored = Signature.read(from);
    readClocks(from);
    Ids oldIds = new Ids();
    if (stored.hasIds()) {
      oldIds.read(from);
    }
    Ring longest = layout.longest;
    ids.reset();
    if (layout.idColumn >= 0) {
      long floor = longest.floor(newest, ahead, layout.span);
      ids.adopt(oldIds, stored.idTile(), longest.tileMs, floor, store);
    } else {
      oldIds.drop(Long.MAX_VALUE, store);
    }
    for (int i = 0; i < rings.length; i++) {
      rings[i].reset();
      after[i] = layout.rings[i].floor(newest, ahead, layout.span);
    }
    for (Ring was : stored.rings()) {
      RingState old = new RingState(was);
      openRing(old, from);
      int at = find(was.tileMs);
      if (at >= 0) {
        rings[at].adopt(old, newest(at), after[at], store);
      } else if (old.isApart()) {
        store.remove(Entries.ring(was.tileMs));
      }
    }
  }

  private int find(long tileMs) {
    for (int i = 0; i < rings.length; i++) {
      if (layout.rings[i].tileMs == tileMs) {
        return i;
      }
    }
    return -1;
  }

  private void write(StateStore store) {
    head.at = 0;
    head.put(signature, 0, signature.length);
    head.putByte((newest == Lanes.NEVER ? 0 : 1) | (ahead == Lanes.NEVER ? 0 : 2));
    if (newest != Lanes.NEVER) {
      head.putSigned(newest);
    }
    if (ahead != Lanes.NEVER) {
      head.putSigned(ahead);
    }
    if (layout.idColumn >= 0) {
      ids.write(head);
    }
    for (int i = 0; i < rings.length; i++) {
      rings[i].write(head, store);
    }
    store.put(StateStore.HEAD, head.copy());
  }
}
