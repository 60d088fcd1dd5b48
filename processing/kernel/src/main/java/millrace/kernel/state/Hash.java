package millrace.kernel.state;

/** The hash of docs/rolling.md: FNV-1a, then the finaliser of MurmurHash3. */
public final class Hash {
  private static final long OFFSET = 0xcbf29ce484222325L;
  private static final long PRIME = 0x100000001b3L;

  private Hash() {}

  public static long of(byte[] bytes) {
    return finish(update(OFFSET, bytes));
  }

  /** Of a number's 8 big-endian bytes as a double. */
  public static long of(double value) {
    return finish(update(OFFSET, Double.doubleToLongBits(value)));
  }

  /** Of an id's bytes followed by a time's 8 big-endian bytes. */
  public static long of(byte[] id, long time) {
    return finish(update(update(OFFSET, id), time));
  }

  /** The 32-bit hash. */
  public static int high(long hash) {
    return (int) (hash >>> 32);
  }

  private static long update(long hash, byte[] bytes) {
    long h = hash;
    for (byte b : bytes) {
      h = (h ^ (b & 0xff)) * PRIME;
    }
    return h;
  }

  private static long update(long hash, long value) {
    long h = hash;
    for (int shift = 56; shift >= 0; shift -= 8) {
      h = (h ^ ((value >>> shift) & 0xff)) * PRIME;
    }
    return h;
  }

  private static long finish(long hash) {
    long h = hash;
    h ^= h >>> 33;
    h *= 0xff51afd7ed558ccdL;
    h ^= h >>> 33;
    h *= 0xc4ceb9fe1a85ec53L;
    return h ^ (h >>> 33);
  }
}
