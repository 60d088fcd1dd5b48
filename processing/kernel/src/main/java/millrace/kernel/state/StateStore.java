package millrace.kernel.state;

/**
 * The state of the current key: values by number. A value handed in is never changed afterwards,
 * one handed out is valid until its entry is put again. The head, which knows its own length, may
 * be handed out with more bytes behind it.
 *
 * <p>Entries may expire one by one, each some time after it was last put. The head is put with
 * every row that is applied, after the others, so that it is the last to go; another entry may be
 * gone while the head still names it, and counts as empty then.
 */
public interface StateStore {
  /** The value, or null. */
  byte[] get(long entry);

  void put(long entry, byte[] value);

  void remove(long entry);

  /** The entry of the head, which every row reads and writes. */
  long HEAD = 0;
}
