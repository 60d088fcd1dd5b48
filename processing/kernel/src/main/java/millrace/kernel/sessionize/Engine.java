package millrace.kernel.sessionize;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import millrace.kernel.state.Bytes;
import millrace.kernel.state.Hash;
import millrace.kernel.state.StateStore;

/**
 * Takes one click after the other, each with the {@link StateStore} of its visitor;
 * domain/shop/sessions.py specifies what comes of it. Knows nothing of Flink, no clock, and keeps
 * nothing of a visitor between calls. Belongs to one thread.
 *
 * <p>The state is the head alone: a version, the newest time, and the sessions, the oldest first.
 */
final class Engine {
  /** What became of a click. */
  enum Fate {
    COUNTED,
    LATE,
    DUPLICATE
  }

  /** A session that another has taken over. */
  record Gone(byte[] id, long started, long newest) {}

  private static final int VERSION = 1;

  private final Spec spec;
  private final List<OpenSession> sessions = new ArrayList<>();
  private final List<Gone> gone = new ArrayList<>();
  private final OpenSession joined = new OpenSession();
  private final Clicks fresh = new Clicks();
  private final Bytes freshBytes = new Bytes(64);
  private final Bytes out = new Bytes(256);
  private final Bytes in = Bytes.over(new byte[0]);
  private int count;
  private long newest;
  private byte[] head;
  private int joinedAt;

  Engine(Spec spec) {
    this.spec = spec;
  }

  /** Process a visitor's next click. */
  Fate process(byte[] id, long time, byte[] item, byte[] action, StateStore store) {
    gone.clear();
    open(store.get(StateStore.HEAD), time);
    if (time < newest - spec.horizonMs()) {
      return Fate.LATE;
    }
    int first = 0;
    while (first < count && !sessions.get(first).joins(time, spec.gapMs())) {
      first++;
    }
    int after = first;
    long hash = Hash.of(id, time);
    for (; after < count && sessions.get(after).joins(time, spec.gapMs()); after++) {
      OpenSession session = sessions.get(after);
      if (session.kept.contains(time, hash)) {
        return Fate.DUPLICATE;
      }
      if (session.started <= time && !session.isAfterTheCut(time)) {
        return Fate.LATE;
      }
    }
    fresh.setOne(time, hash, action, item, freshBytes);
    join(id, time, first, after);
    newest = Math.max(newest, time);
    write(first, after, time);
    store.put(StateStore.HEAD, head);
    return Fate.COUNTED;
  }

  /** The sessions that the last click's has taken over. */
  List<Gone> gone() {
    return gone;
  }

  /** The session of the last click, if it was counted. */
  OpenSession joined() {
    return joined;
  }

  /** The new state, in which {@link #joined()} stands from {@link #joinedAt()} on. */
  byte[] head() {
    return head;
  }

  int joinedAt() {
    return joinedAt;
  }

  private void open(byte[] data, long time) {
    count = 0;
    newest = time;
    if (data == null) {
      return;
    }
    in.data = data;
    in.at = 0;
    int version = in.getByte();
    if (version != VERSION) {
      throw new IllegalStateException("sessionize: state of version " + version);
    }
    newest = in.getSigned();
    for (int left = (int) in.getVar(); left > 0; left--) {
      if (count == sessions.size()) {
        sessions.add(new OpenSession());
      }
      sessions.get(count++).read(in);
    }
  }

  /** Make {@link #joined} of the click and of the sessions from {@code first} to {@code after}. */
  private void join(byte[] id, long time, int first, int after) {
    joined.id = first < after ? sessions.get(first).id : id;
    joined.started = time;
    joined.newest = time;
    joined.clicks = 1;
    joined.kept.clear();
    boolean isKept = true;
    for (int i = first; i < after; i++) {
      OpenSession session = sessions.get(i);
      if (session.isCut()) {
        joined.kept.clear();
        isKept = time >= session.started;
      }
      joined.kept.addAll(session.kept);
      joined.started = Math.min(joined.started, session.started);
      joined.newest = Math.max(joined.newest, session.newest);
      joined.clicks += session.clicks;
      if (i > first) {
        gone.add(new Gone(session.id, session.started, session.newest));
      }
    }
    if (isKept) {
      joined.kept.insert(fresh);
    }
  }

  /** Write the new head: what is still in reach, {@link #joined} in its place. */
  private void write(int first, int after, long time) {
    long oldest = newest - spec.horizonMs() - spec.gapMs();
    int before = 0;
    while (before < count && sessions.get(before).newest < oldest) {
      before++;
    }
    int place = first < after ? first : place(time);
    out.at = 0;
    out.putByte(VERSION);
    out.putSigned(newest);
    int dropped = Math.min(before, place);
    out.putVar(count - dropped - (after - first) + 1);
    for (int i = dropped; i < place; i++) {
      sessions.get(i).write(0, out);
    }
    joinedAt = out.at;
    joined.write(joined.kept.newest(spec.items(), spec.textBytes()), out);
    for (int i = first < after ? after : place; i < count; i++) {
      sessions.get(i).write(0, out);
    }
    head = Arrays.copyOf(out.data, out.at);
  }

  /** Where a session that joins none stands among the others. */
  private int place(long time) {
    int place = count;
    while (place > 0 && sessions.get(place - 1).started > time) {
      place--;
    }
    return place;
  }
}
