package millrace.kernel.avro;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.apache.flink.core.memory.MemorySegment;
import org.apache.flink.core.memory.MemorySegmentFactory;
import org.apache.flink.table.data.binary.BinaryStringData;

/**
 * A position in one record's bytes. Every read is checked and throws {@link Unreadable}. Strings
 * are views of the record's bytes, not copies: keeping one keeps the record.
 */
final class Input {
  /** What no single value of a Kafka record reaches: a longer one is nonsense, not a cut record. */
  static final long ABSURD_LENGTH = 64L << 20;

  private static final int DEEPEST = 64;
  private static final int MOST_EMPTY_ITEMS = 1 << 16;
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private byte[] bytes;
  private int position;
  private int end;
  private MemorySegment[] segments;
  private String refusal;
  private int depth;

  void reset(byte[] message, int start) {
    bytes = message;
    position = start;
    end = message.length;
    segments = null;
    refusal = null;
    depth = 0;
  }

  int remaining() {
    return end - position;
  }

  /** Note that a well-formed value breaks a rule; the first note counts. */
  void refuse(String detail) {
    if (refusal == null) {
      refusal = detail;
    }
  }

  String refusal() {
    return refusal;
  }

  void enter() {
    if (++depth > DEEPEST) {
      throw Unreadable.malformed("nested deeper than " + DEEPEST);
    }
  }

  void leave() {
    depth--;
  }

  boolean readBoolean() {
    if (position >= end) {
      throw truncated(1);
    }
    int value = bytes[position++];
    if ((value & 0xfe) != 0) {
      throw Unreadable.malformed("boolean of value " + (value & 0xff));
    }
    return value == 1;
  }

  int readInt() {
    long value = readLong();
    if (value != (int) value) {
      throw Unreadable.malformed("int of value " + value);
    }
    return (int) value;
  }

  long readLong() {
    if (position < end && bytes[position] >= 0) {
      int value = bytes[position++];
      return (value >>> 1) ^ -(value & 1);
    }
    return readLongerLong();
  }

  private long readLongerLong() {
    long value = 0;
    for (int shift = 0; shift <= 63; shift += 7) {
      if (position >= end) {
        throw truncated(1);
      }
      int next = bytes[position++];
      value |= (next & 0x7fL) << shift;
      if (next >= 0) {
        if (shift == 63 && next > 1) {
          throw Unreadable.malformed("varint beyond 64 bits");
        }
        return (value >>> 1) ^ -(value & 1);
      }
    }
    throw Unreadable.malformed("varint longer than 10 bytes");
  }

  float readFloat() {
    need(4);
    float value = Float.intBitsToFloat((int) INT.get(bytes, position));
    position += 4;
    return value;
  }

  double readDouble() {
    need(8);
    double value = Double.longBitsToDouble((long) LONG.get(bytes, position));
    position += 8;
    return value;
  }

  BinaryStringData readString(int minLength, String where) {
    int length = readLength();
    int start = position;
    int invalid = Utf8.firstInvalid(bytes, start, length);
    if (invalid >= 0) {
      throw Unreadable.malformed("invalid UTF-8 at byte " + (invalid - start) + " of " + length);
    }
    position += length;
    if (length < minLength
        || (minLength > 1
            && length < 4 * minLength
            && Utf8.characters(bytes, start, length) < minLength)) {
      refuse(where + " is shorter than " + minLength);
    }
    if (segments == null) {
      segments = new MemorySegment[] {MemorySegmentFactory.wrap(bytes)};
    }
    return new BinaryStringData(segments, start, length);
  }

  byte[] readBytes() {
    return readFixed(readLength());
  }

  byte[] readFixed(int length) {
    need(length);
    byte[] copy = java.util.Arrays.copyOfRange(bytes, position, position + length);
    position += length;
    return copy;
  }

  void skip(int length) {
    need(length);
    position += length;
  }

  /** The length prefix of bytes that follow. */
  int readLength() {
    long length = readLong();
    if (length < 0) {
      throw Unreadable.malformed("negative length " + length);
    }
    if (length > ABSURD_LENGTH) {
      throw Unreadable.malformed("absurd length " + length);
    }
    need((int) length);
    return (int) length;
  }

  /** An index below {@code count}: a union's branch or an enum's symbol. */
  int readIndex(int count, String what) {
    long index = readLong();
    if (index < 0 || index >= count) {
      throw Unreadable.malformed(what + " " + index + " of " + count);
    }
    return (int) index;
  }

  /**
   * Items in the next block of an array or map; 0 ends it.
   *
   * @param smallest bytes an item takes at least
   * @param before items read so far: bounds what takes no bytes at all
   */
  int readBlock(int smallest, int before) {
    long count = readLong();
    if (count < 0) {
      if (count == Long.MIN_VALUE) {
        throw Unreadable.malformed("absurd item count");
      }
      count = -count;
      readLength();
    }
    if (count > ABSURD_LENGTH) {
      throw Unreadable.malformed("absurd item count " + count);
    }
    if (smallest == 0 && count + before > MOST_EMPTY_ITEMS) {
      throw Unreadable.malformed(count + " items without bytes");
    }
    if (count * smallest > remaining()) {
      throw truncated(count * smallest);
    }
    return (int) count;
  }

  private void need(int length) {
    if (length > end - position) {
      throw truncated(length);
    }
  }

  private Unreadable truncated(long needed) {
    return new Unreadable(
        Unreadable.TRUNCATED,
        "needs " + needed + " bytes at offset " + position + ", has " + remaining());
  }
}
