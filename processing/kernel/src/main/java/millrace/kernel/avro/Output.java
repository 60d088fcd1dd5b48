package millrace.kernel.avro;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Arrays;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.binary.BinarySegmentUtils;
import org.apache.flink.table.data.binary.BinaryStringData;

/** A growing buffer that Avro is written to; reused from record to record. */
final class Output {
  private static final int LONGEST_VARINT = 10;
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private byte[] bytes = new byte[256];
  private int position;

  /** Start a record with the wire format's header. */
  void start(int schemaId) {
    bytes[0] = 0;
    bytes[1] = (byte) (schemaId >>> 24);
    bytes[2] = (byte) (schemaId >>> 16);
    bytes[3] = (byte) (schemaId >>> 8);
    bytes[4] = (byte) schemaId;
    position = 5;
  }

  byte[] copy() {
    return Arrays.copyOf(bytes, position);
  }

  void writeBoolean(boolean value) {
    reserve(1);
    bytes[position++] = (byte) (value ? 1 : 0);
  }

  void writeLong(long value) {
    reserve(LONGEST_VARINT);
    long zigzag = (value << 1) ^ (value >> 63);
    while ((zigzag & ~0x7fL) != 0) {
      bytes[position++] = (byte) (zigzag | 0x80);
      zigzag >>>= 7;
    }
    bytes[position++] = (byte) zigzag;
  }

  void writeFloat(float value) {
    reserve(4);
    INT.set(bytes, position, Float.floatToRawIntBits(value));
    position += 4;
  }

  void writeDouble(double value) {
    reserve(8);
    LONG.set(bytes, position, Double.doubleToRawLongBits(value));
    position += 8;
  }

  void writeFixed(byte[] value) {
    reserve(value.length);
    System.arraycopy(value, 0, bytes, position, value.length);
    position += value.length;
  }

  void writeBytes(byte[] value) {
    writeLong(value.length);
    writeFixed(value);
  }

  void writeString(StringData value) {
    BinaryStringData text = (BinaryStringData) value;
    text.ensureMaterialized();
    int size = text.getSizeInBytes();
    writeLong(size);
    reserve(size);
    BinarySegmentUtils.copyToBytes(text.getSegments(), text.getOffset(), bytes, position, size);
    position += size;
  }

  private void reserve(int count) {
    if (position + count > bytes.length) {
      bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, position + count));
    }
  }
}
