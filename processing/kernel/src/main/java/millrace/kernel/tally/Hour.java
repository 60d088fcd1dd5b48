package millrace.kernel.tally;

import java.util.Arrays;
import millrace.kernel.state.Bytes;

/**
 * The events of one key, in order of time, as the state's head holds them: how many, and of each
 * the hash of its id, its time within the hour, its stage and, for an order line, the hash of its
 * order (0: none).
 */
final class Hour {
  private int count;
  private long[] ids = new long[8];
  private int[] times = new int[8];
  private byte[] stages = new byte[8];
  private long[] orders = new long[8];
  private final Bytes out = new Bytes(256);

  void read(byte[] head) {
    count = 0;
    if (head == null) {
      return;
    }
    Bytes in = Bytes.over(head);
    int many = (int) in.getVar();
    room(many);
    for (; count < many; count++) {
      ids[count] = in.getLong();
      times[count] = in.getInt();
      stages[count] = (byte) in.getByte();
      orders[count] = stages[count] == Stage.LINE ? in.getLong() : 0;
    }
  }

  byte[] write() {
    out.at = 0;
    out.putVar(count);
    for (int i = 0; i < count; i++) {
      out.putLong(ids[i]);
      out.putInt(times[i]);
      out.putByte(stages[i]);
      if (stages[i] == Stage.LINE) {
        out.putLong(orders[i]);
      }
    }
    return out.copy();
  }

  boolean has(long id) {
    for (int i = 0; i < count; i++) {
      if (ids[i] == id) {
        return true;
      }
    }
    return false;
  }

  void add(long id, int time, int stage, long order) {
    room(count + 1);
    int place = at(time);
    System.arraycopy(ids, place, ids, place + 1, count - place);
    System.arraycopy(times, place, times, place + 1, count - place);
    System.arraycopy(stages, place, stages, place + 1, count - place);
    System.arraycopy(orders, place, orders, place + 1, count - place);
    ids[place] = id;
    times[place] = time;
    stages[place] = (byte) stage;
    orders[place] = order;
    count++;
  }

  /** The place of the first event at {@code time} or later. */
  int at(int time) {
    int low = 0;
    int high = count;
    while (low < high) {
      int middle = (low + high) >>> 1;
      if (times[middle] < time) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  int time(int place) {
    return times[place];
  }

  int stage(int place) {
    return stages[place];
  }

  /** How many orders the events from {@code first} on, before {@code end}, are of. */
  int orders(int first, int end) {
    int lines = 0;
    long[] found = null;
    for (int i = first; i < end; i++) {
      if (orders[i] != 0) {
        found = found == null ? new long[end - i] : found;
        found[lines++] = orders[i];
      }
    }
    return lines < 2 ? lines : (int) Arrays.stream(found, 0, lines).distinct().count();
  }

  private void room(int many) {
    if (many > ids.length) {
      int more = Math.max(many, 2 * ids.length);
      ids = Arrays.copyOf(ids, more);
      times = Arrays.copyOf(times, more);
      stages = Arrays.copyOf(stages, more);
      orders = Arrays.copyOf(orders, more);
    }
  }
}
