package millrace.kernel.rolling;

/**
 * What is kept of the current key: values by number. A value handed in is never changed afterwards,
 * one handed out is valid until its entry is put again. The head, which knows its own length, may
 * be handed out with more bytes behind it.
 *
 * <p>Entries may expire one by one, each some time after it was last put. The head is put with
 * every row that is applied, after the others, so that it is the last to go; another entry may be
 * gone while the head still names it, and counts as empty then.
 */
interface StateStore {
  /** The value, or null. */
  byte[] get(long entry);

  void put(long entry, byte[] value);

  void remove(long entry);

  /** The entry of the head, which every row reads and writes: {@link Engine}. */
  long HEAD = 0;

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
