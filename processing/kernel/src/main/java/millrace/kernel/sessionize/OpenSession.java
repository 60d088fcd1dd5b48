package millrace.kernel.sessionize;

import millrace.kernel.state.Bytes;

/** A session that clicks may still join. Reused between rows. */
final class OpenSession {
  byte[] id;
  long started;
  long newest;
  int clicks;
  final Clicks kept = new Clicks();

  /** Whether some of its clicks are only counted. */
  boolean isCut() {
    return clicks > kept.size;
  }

  boolean joins(long time, long gapMs) {
    return started - gapMs <= time && time <= newest + gapMs;
  }

  /** Whether a click of its own time is newer than all clicks that are only counted. */
  boolean isAfterTheCut(long time) {
    return !isCut() || time > newest || (kept.size > 0 && time > kept.time(0));
  }

  void read(Bytes in) {
    id = in.get((int) in.getVar());
    started = in.getSigned();
    newest = started + in.getVar();
    clicks = (int) in.getVar();
    kept.clear();
    kept.read(in, started, (int) in.getVar());
  }

  /** Append the session, of whose clicks those from {@code first} on are kept. */
  void write(int first, Bytes out) {
    out.putVar(id.length);
    out.put(id, 0, id.length);
    out.putSigned(started);
    out.putVar(newest - started);
    out.putVar(clicks);
    out.putVar(kept.size - first);
    kept.write(first, started, out);
  }
}
