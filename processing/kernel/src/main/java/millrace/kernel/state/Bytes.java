package millrace.kernel.state;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * A growing byte buffer, written and read with one position: variable-length and 4- and 8-byte
 * whole numbers. Little-endian. Reused between rows.
 */
public final class Bytes {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

  public byte[] data;
  public int at;

  public Bytes(int capacity) {
    data = new byte[capacity];
  }

  private Bytes(byte[] data) {
    this.data = data;
  }

  /** A reader of {@code data}. */
  public static Bytes over(byte[] data) {
    return new Bytes(data);
  }

  /** What was written so far. */
  public byte[] copy() {
    return Arrays.copyOf(data, at);
  }

  public void need(int more) {
    if (data.length - at < more) {
      data = Arrays.copyOf(data, Math.max(data.length * 2, at + more));
    }
  }

  public void putByte(int value) {
    need(1);
    data[at++] = (byte) value;
  }

  public int getByte() {
    return data[at++] & 0xff;
  }

  public void putInt(int value) {
    need(4);
    INT.set(data, at, value);
    at += 4;
  }

  public int getInt() {
    int value = (int) INT.get(data, at);
    at += 4;
    return value;
  }

  public void putLong(long value) {
    need(8);
    LONG.set(data, at, value);
    at += 8;
  }

  public long getLong() {
    long value = (long) LONG.get(data, at);
    at += 8;
    return value;
  }

  /** An unsigned number in 1 to 10 bytes. */
  public void putVar(long value) {
    need(10);
    long rest = value;
    while ((rest & ~0x7fL) != 0) {
      data[at++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    data[at++] = (byte) rest;
  }

  public long getVar() {
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
  public void putSigned(long value) {
    putVar((value << 1) ^ (value >> 63));
  }

  public long getSigned() {
    long value = getVar();
    return (value >>> 1) ^ -(value & 1);
  }

  public void put(byte[] source, int from, int length) {
    need(length);
    System.arraycopy(source, from, data, at, length);
    at += length;
  }

  public byte[] get(int length) {
    byte[] value = Arrays.copyOfRange(data, at, at + length);
    at += length;
    return value;
  }
}
