package millrace.kernel.rolling;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A growing byte buffer, written and read with one position: variable-length and 4- and 8-byte
 * whole numbers. Little-endian. Reused between rows.
 */
final class Bytes {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  byte[] data;
  int at;

  Bytes(int capacity) {
    data = new byte[capacity];
  }

  private Bytes(byte[] data) {
    this.data = data;
  }

  /** A reader of {@code data}. */
  static Bytes over(byte[] data) {
    return new Bytes(data);
  }

  /** What was written so far. */
  byte[] copy() {
    return Arrays.copyOf(data, at);
  }

  void need(int more) {
    if (data.length - at < more) {
      data = Arrays.copyOf(data, Math.max(data.length * 2, at + more));
    }
  }

  void putByte(int value) {
    need(1);
    data[at++] = (byte) value;
  }

  int getByte() {
    return data[at++] & 0xff;
  }

  void putInt(int value) {
    need(4);
    INT.set(data, at, value);
    at += 4;
  }

  int getInt() {
    int value = (int) INT.get(data, at);
    at += 4;
    return value;
  }

  void putLong(long value) {
    need(8);
    LONG.set(data, at, value);
    at += 8;
  }

  long getLong() {
    long value = (long) LONG.get(data, at);
    at += 8;
    return value;
  }

  /** An unsigned number in 1 to 10 bytes. */
  void putVar(long value) {
    need(10);
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      data[at++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    data[at++] = (byte) rest;
  }

  long getVar() {
    byte one = data[at++];
    if (one >= 0) {
      return one;
    }
    long value = one & 0x7f;
    int shift = 7;
    do {
      one = data[at++];
      value |= (long) (one & 0x7f) << shift;
      shift += 7;
    } while (one < 0);
    return value;
  }

  /** A signed number, short when near zero. */
  void putSigned(long value) {
    putVar((value << 1) ^ (value >> 63));
  }

  long getSigned() {
    long value = getVar();
    return (value >>> 1) ^ -(value & 1);
  }

  void put(byte[] source, int from, int length) {
    need(length);
    System.arraycopy(source, from, data, at, length);
    at += length;
  }

  byte[] get(int length) {
    byte[] value = Arrays.copyOfRange(data, at, at + length);
    at += length;
    return value;
  }
}
