package millrace.kernel.sessionize;

import java.util.Arrays;
import millrace.kernel.state.Bytes;

/**
 * Clicks in order of event time. Of each: its time, the hash of id and time, and where its action
 * and item stand as bytes, which are never copied until they are written. Reused between rows.
 */
final class Clicks {
  /** The action's code, or 0 and its text; then the item's text; lengths before texts. */
  private static final byte[][] ACTIONS = Actions.UTF8;

  int size;
  private long[] times = new long[8];
  private long[] hashes = new long[8];
  private byte[][] sources = new byte[8][];
  private int[] from = new int[8];
  private int[] to = new int[8];
  private int[] text = new int[8];

  long time(int at) {
    return times[at];
  }

  void clear() {
    size = 0;
  }

  boolean contains(long time, long hash) {
    for (int i = size - 1; i >= 0 && times[i] >= time; i--) {
      if (times[i] == time && hashes[i] == hash) {
        return true;
      }
    }
    return false;
  }

  /**
   * Append so many clicks, of a session that {@code started} then, as {@link #write} wrote them.
   */
  void read(Bytes in, long started, int count) {
    long time = started;
    for (int i = 0; i < count; i++) {
      time += in.getVar();
      long hash = in.getLong();
      int begin = in.at;
      int code = in.getByte();
      int bytes = code == 0 ? skipText(in) : ACTIONS[code].length;
      bytes += skipText(in);
      reserve();
      set(size++, time, hash, in.data, begin, in.at, bytes);
    }
  }

  private static int skipText(Bytes in) {
    int length = (int) in.getVar();
    in.at += length;
    return length;
  }

  void addAll(Clicks others) {
    for (int i = 0; i < others.size; i++) {
      reserve();
      copy(others, i, size++);
    }
  }

  /** Put a click in its place, after those of the same time. {@code fresh} holds it alone. */
  void insert(Clicks fresh) {
    reserve();
    int at = size++;
    for (; at > 0 && times[at - 1] > fresh.times[0]; at--) {
      copy(this, at - 1, at);
    }
    copy(fresh, 0, at);
  }

  /** Become this one click, described in {@code out}, which must not change meanwhile. */
  void setOne(long time, long hash, byte[] action, byte[] item, Bytes out) {
    out.at = 0;
    int code = Actions.code(action);
    out.putByte(code);
    if (code == 0) {
      putText(action, out);
    }
    putText(item, out);
    size = 1;
    set(0, time, hash, out.data, 0, out.at, action.length + item.length);
  }

  private static void putText(byte[] text, Bytes out) {
    out.putVar(text.length);
    out.put(text, 0, text.length);
  }

  /** Return where the newest begin that are so many at most, with so many bytes of text. */
  int newest(int most, int bytes) {
    int at = size;
    for (int left = bytes; at > 0 && size - at < most; at--) {
      left -= text[at - 1];
      if (left < 0) {
        break;
      }
    }
    return at;
  }

  /** Append the clicks from {@code first} on to {@code out}, of a session that started then. */
  void write(int first, long started, Bytes out) {
    long before = started;
    for (int i = first; i < size; i++) {
      out.putVar(times[i] - before);
      out.putLong(hashes[i]);
      out.put(sources[i], from[i], to[i] - from[i]);
      before = times[i];
    }
  }

  private void set(int at, long time, long hash, byte[] source, int begin, int end, int bytes) {
    times[at] = time;
    hashes[at] = hash;
    sources[at] = source;
    from[at] = begin;
    to[at] = end;
    text[at] = bytes;
  }

  private void copy(Clicks source, int i, int at) {
    set(
        at,
        source.times[i],
        source.hashes[i],
        source.sources[i],
        source.from[i],
        source.to[i],
        source.text[i]);
  }

  private void reserve() {
    if (size < times.length) {
      return;
    }
    int room = 2 * size;
    times = Arrays.copyOf(times, room);
    hashes = Arrays.copyOf(hashes, room);
    sources = Arrays.copyOf(sources, room);
    from = Arrays.copyOf(from, room);
    to = Arrays.copyOf(to, room);
    text = Arrays.copyOf(text, room);
  }
}
