package millrace.kernel.distinct;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * A set of 64-bit hashes in one array of bytes, as the state holds it: a table of open addresses, 8
 * bytes each, 0 where none is. Up to {@value #LISTED} stand one after the other instead.
 */
public final class Hashes {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final int LISTED = 16;
  private static final int STEP = 4;

  /** How many. Public, as {@link #table} is, because Flink reads and writes both. */
  public int count;

  public byte[] table = new byte[0];

  /** Add a hash; return whether it was not there. */
  boolean add(long hash) {
    long wanted = hash == 0 ? 1 : hash;
    int place = find(wanted);
    if (place >= 0 && get(place) == wanted) {
      return false;
    }
    if (place < 0 || count >= LISTED && 4 * (count + 1) > 3 * places()) {
      grow();
      place = find(wanted);
    }
    LONG.set(table, 8 * place, wanted);
    count++;
    return true;
  }

  void addAll(Hashes others) {
    for (int place = 0; place < others.places(); place++) {
      long hash = others.get(place);
      if (hash != 0) {
        add(hash);
      }
    }
  }

  /** Where a hash is, or may be put; -1 where there is no room. */
  private int find(long hash) {
    int places = places();
    if (places <= LISTED) {
      for (int place = 0; place < places; place++) {
        long other = get(place);
        if (other == hash || other == 0) {
          return place;
        }
      }
      return -1;
    }
    int place = (int) hash & places - 1;
    while (get(place) != 0 && get(place) != hash) {
      place = place + 1 & places - 1;
    }
    return place;
  }

  private void grow() {
    Hashes more = new Hashes();
    more.table = new byte[8 * (places() < LISTED ? places() + STEP : 2 * places())];
    more.addAll(this);
    table = more.table;
  }

  private int places() {
    return table.length / 8;
  }

  private long get(int place) {
    return (long) LONG.get(table, 8 * place);
  }
}
