package millrace.kernel.rolling;

/** Which entry of a key's state holds what, beside its head. */
final class Entries {
  private Entries() {}

  /** The entry of a ring's tiles, when they are too many for the head. */
  static long ring(long tileMs) {
    return (tileMs << 2) | 1;
  }

  /** The entry of all the ids of one tile of the longest ring, while they are few. */
  static long ids(long tile) {
    return (tile << 2) | 2;
  }

  /** The entry of the ids of one 32nd of a tile of the longest ring. */
  static long ids(long tile, int bucket) {
    return ((tile * 32 + bucket) << 2) | 3;
  }
}
