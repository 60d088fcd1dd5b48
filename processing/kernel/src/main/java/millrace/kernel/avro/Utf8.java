package millrace.kernel.avro;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Check UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF.)
 */
final class Utf8 {
  private static final VarHandle LONGS =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.nativeOrder());
  private static final long HIGH_BITS = 0x8080808080808080L;

  private Utf8() {}

  /**
   * Return the offset of the first byte that is not UTF-8, or -1; eight bytes a step while all is
   * ASCII.
   */
  static int firstInvalid(byte[] bytes, int start, int length) {
    int end = start + length;
    int at = start;
    while (at + 8 <= end && ((long) LONGS.get(bytes, at) & HIGH_BITS) == 0) {
      at += 8;
    }
    while (at < end) {
      int lead = bytes[at];
      if (lead >= 0) {
        at++;
        continue;
      }
      int size = sequence(bytes, at, end);
      if (size == 0) {
        return at;
      }
      at += size;
    }
    return -1;
  }

  /** Bytes of the multi-byte sequence at {@code at}, 0 where it is not well-formed. */
  private static int sequence(byte[] bytes, int at, int end) {
    int lead = bytes[at] & 0xff;
    int size = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (size == 0 || at + size > end) {
      return 0;
    }
    int second = bytes[at + 1] & 0xff;
    int lowest = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    int highest = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (second < lowest || second > highest) {
      return 0;
    }
    for (int i = 2; i < size; i++) {
      if ((bytes[at + i] & 0xc0) != 0x80) {
        return 0;
      }
    }
    return size;
  }

  /** Characters (code points) of valid UTF-8. */
  static int characters(byte[] bytes, int start, int length) {
    int characters = 0;
    for (int at = start; at < start + length; at++) {
      if ((bytes[at] & 0xc0) != 0x80) {
        characters++;
      }
    }
    return characters;
  }
}
