package millrace.kernel.rolling;

import java.util.List;
import millrace.kernel.state.Bytes;

/**
 * The lanes of one ring: what each tile keeps. Every lane has its slots among a tile's longs,
 * doubles and objects; that shape, and how a tile is written, follow from the kinds alone, so state
 * of an older spec can be read by the kinds it names.
 */
final class Lanes {
  /** No time: the slot of a lane that has seen no row. */
  static final long NEVER = Long.MIN_VALUE;

  private static final long NAN = Double.doubleToLongBits(Double.NaN);
  private static final double CENTS = 100.0;
  private static final long MOST_CENTS = 1L << 41;
  // How a double is written, two bits each.
  private static final int SAME = 0; // as the one before; 0.0 before the first
  private static final int HUNDREDTHS = 1;
  private static final int NEAR = 2; // hundredths, and how many doubles away
  private static final int WHOLE = 3;
  private static final int IS_NAN = Byte.MIN_VALUE;

  /**
   * What a lane keeps. The order is part of the stored form: add at the end only. So are the names,
   * and those of {@link Column.Type} and {@link Spec.Op}: a lane is found again by a hash of them
   * (IdentityTest).
   */
  enum Kind {
    COUNT(1, 0, 0),
    SUM(0, 1, 0),
    MIN(0, 1, 0),
    MAX(0, 1, 0),
    MOMENTS(1, 2, 0),
    DISTINCT(0, 0, 1),
    TIME(1, 0, 0),
    LAST_NUMBER(1, 1, 0),
    LAST_TEXT(1, 0, 1);

    private static final Kind[] ALL = values();

    final int longs;
    final int doubles;
    final int objects;

    Kind(int longs, int doubles, int objects) {
      this.longs = longs;
      this.doubles = doubles;
      this.objects = objects;
    }

    static Kind of(int ordinal) {
      return ALL[ordinal];
    }

    boolean isTimed() {
      return this == TIME || this == LAST_NUMBER || this == LAST_TEXT;
    }
  }

  final int size;
  final Kind[] kinds;
  final int[] ids;
  // Where each lane's slots begin.
  final int[] longAt;
  final int[] doubleAt;
  final int[] objectAt;
  final int longs;
  final int doubles;
  final int objects;
  private final boolean[] timed;
  private final boolean[] nan;
  private final boolean[] text;

  /**
   * @param ids the lanes' identities, by which they are recognised in stored state
   */
  Lanes(List<Kind> kinds, int[] ids) {
    this.size = kinds.size();
    this.kinds = kinds.toArray(Kind[]::new);
    this.ids = ids;
    longAt = new int[size];
    doubleAt = new int[size];
    objectAt = new int[size];
    int l = 0;
    int d = 0;
    int o = 0;
    for (int i = 0; i < size; i++) {
      longAt[i] = l;
      doubleAt[i] = d;
      objectAt[i] = o;
      l += this.kinds[i].longs;
      d += this.kinds[i].doubles;
      o += this.kinds[i].objects;
    }
    longs = l;
    doubles = d;
    objects = o;
    timed = new boolean[l];
    nan = new boolean[d];
    text = new boolean[o];
    for (int i = 0; i < size; i++) {
      Kind kind = this.kinds[i];
      if (kind.isTimed()) {
        timed[longAt[i]] = true;
      }
      if (kind == Kind.MIN || kind == Kind.MAX) {
        nan[doubleAt[i]] = true;
      }
      if (kind == Kind.LAST_TEXT) {
        text[objectAt[i]] = true;
      }
    }
  }

  /** Make the tile at {@code position} one that has seen no row. */
  void clear(Tiles tiles, int position) {
    int l = position * longs;
    for (int i = 0; i < longs; i++) {
      tiles.longs[l + i] = timed[i] ? NEVER : 0;
    }
    int d = position * doubles;
    for (int i = 0; i < doubles; i++) {
      tiles.doubles[d + i] = nan[i] ? Double.NaN : 0.0;
    }
    int o = position * objects;
    for (int i = 0; i < objects; i++) {
      tiles.objects[o + i] = null;
    }
  }

  /**
   * Write the tile at {@code position}.
   *
   * @param base a time near the tile's, known to the reader
   */
  void write(Bytes out, Tiles tiles, int position, long base) {
    int l = position * longs;
    for (int i = 0; i < longs; i++) {
      long value = tiles.longs[l + i];
      if (timed[i]) {
        out.putVar(value == NEVER ? 0 : zigzag(value - base) + 1);
      } else {
        out.putVar(value);
      }
    }
    if (doubles > 0) {
      writeDoubles(out, tiles.doubles, position * doubles);
    }
    int o = position * objects;
    for (int i = 0; i < objects; i++) {
      writeObject(out, tiles.objects[o + i]);
    }
  }

  private void writeDoubles(Bytes out, double[] from, int d) {
    int code = out.at;
    int codes = (doubles + 3) >> 2;
    out.need(codes + 10 * doubles);
    byte[] data = out.data;
    for (int i = 0; i < codes; i++) {
      data[code + i] = 0;
    }
    out.at += codes;
    long before = 0;
    for (int i = 0; i < doubles; i++) {
      double value = from[d + i];
      long bits = Double.doubleToLongBits(value);
      if (bits != before) {
        data[code + (i >> 2)] |= (byte) (writeDouble(out, value, bits) << ((i & 3) << 1));
        before = bits;
      }
    }
  }

  /**
   * Money is hundredths, and sums of money are at most a few doubles away from hundredths: two to
   * four bytes instead of eight. What is read has the same bits.
   */
  private static int writeDouble(Bytes out, double value, long bits) {
    if (bits == NAN) {
      out.putVar(0);
      out.putByte(IS_NAN);
      return NEAR;
    }
    long cents = (long) Math.rint(value * CENTS);
    if (cents < MOST_CENTS && cents > -MOST_CENTS) {
      long away = bits - Double.doubleToLongBits(cents / CENTS);
      if (away == 0) {
        out.putSigned(cents);
        return HUNDREDTHS;
      } else if (away <= Byte.MAX_VALUE && away > IS_NAN) {
        out.putSigned(cents);
        out.putByte((int) away);
        return NEAR;
      }
    }
    out.putLong(bits);
    return WHOLE;
  }

  private static void writeObject(Bytes out, Object value) {
    if (value instanceof int[] hashes) {
      out.putVar(hashes.length + 1L);
      for (int hash : hashes) {
        out.putInt(hash);
      }
    } else if (value instanceof byte[] bytes) {
      out.putVar(bytes.length + 1L);
      out.put(bytes, 0, bytes.length);
    } else {
      out.putVar(0);
    }
  }

  /** Read what {@link #write} wrote into the tile at {@code position}. */
  void read(Bytes in, Tiles tiles, int position, long base) {
    int l = position * longs;
    for (int i = 0; i < longs; i++) {
      long value = in.getVar();
      if (timed[i]) {
        tiles.longs[l + i] = value == 0 ? NEVER : unzigzag(value - 1) + base;
      } else {
        tiles.longs[l + i] = value;
      }
    }
    if (doubles > 0) {
      readDoubles(in, tiles.doubles, position * doubles);
    }
    int o = position * objects;
    for (int i = 0; i < objects; i++) {
      tiles.objects[o + i] = readObject(in, text[i]);
    }
  }

  private void readDoubles(Bytes in, double[] to, int d) {
    int code = in.at;
    in.at += (doubles + 3) >> 2;
    double before = 0.0;
    for (int i = 0; i < doubles; i++) {
      int how = (in.data[code + (i >> 2)] >> ((i & 3) << 1)) & 3;
      if (how != SAME) {
        before = readDouble(in, how);
      }
      to[d + i] = before;
    }
  }

  private static double readDouble(Bytes in, int how) {
    if (how == WHOLE) {
      return Double.longBitsToDouble(in.getLong());
    }
    double value = in.getSigned() / CENTS;
    if (how == HUNDREDTHS) {
      return value;
    }
    int away = (byte) in.getByte();
    return away == IS_NAN
        ? Double.NaN
        : Double.longBitsToDouble(Double.doubleToLongBits(value) + away);
  }

  private static Object readObject(Bytes in, boolean isText) {
    int length = (int) in.getVar() - 1;
    if (length < 0) {
      return null;
    }
    if (isText) {
      return in.get(length);
    }
    int[] hashes = new int[length];
    for (int i = 0; i < length; i++) {
      hashes[i] = in.getInt();
    }
    return hashes;
  }

  private static long zigzag(long value) {
    return (value << 1) ^ (value >> 63);
  }

  private static long unzigzag(long value) {
    return (value >>> 1) ^ -(value & 1);
  }

  /** Where the lane with {@code kind} and {@code id} is, or -1. */
  int find(Kind kind, int id) {
    for (int i = 0; i < size; i++) {
      if (kinds[i] == kind && ids[i] == id) {
        return i;
      }
    }
    return -1;
  }
}
