package millrace.kernel.batch;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import millrace.kernel.rolling.Column;

/**
 * One column of a chunk: whether each row's value is NULL, and the value. Reused between chunks.
 */
final class Vector {
  final Column column;
  private boolean[] nulls = {};
  private long[] bits = {};
  private byte[][] texts = {};

  Vector(Column column) {
    this.column = column;
  }

  /** Make room for {@code rows} values, all of them NULL. */
  void clear(int rows) {
    if (nulls.length < rows) {
      nulls = new boolean[rows];
      bits = new long[rows];
      texts = new byte[column.type() == Column.Type.STRING ? rows : 0][];
    }
    Arrays.fill(nulls, 0, rows, true);
  }

  /**
   * Read the column of a chunk of {@code rows} rows: a byte a row that is 1 for NULL, then 8 bytes
   * a value (a BOOLEAN: one; a STRING: the end of each value as 4 bytes, then the bytes of all).
   */
  void read(InputStream in, int rows) throws IOException {
    clear(rows);
    ByteBuffer marks = take(in, rows);
    for (int row = 0; row < rows; row++) {
      nulls[row] = marks.get() != 0;
    }
    switch (column.type()) {
      case STRING -> readTexts(in, rows);
      case BOOLEAN -> {
        ByteBuffer values = take(in, rows);
        for (int row = 0; row < rows; row++) {
          bits[row] = values.get();
        }
      }
      default -> take(in, 8 * rows).asLongBuffer().get(bits, 0, rows);
    }
  }

  private void readTexts(InputStream in, int rows) throws IOException {
    ByteBuffer ends = take(in, 4 * rows);
    byte[] all = take(in, rows == 0 ? 0 : ends.getInt(4 * (rows - 1))).array();
    int from = 0;
    for (int row = 0; row < rows; row++) {
      int to = ends.getInt();
      texts[row] = Arrays.copyOfRange(all, from, to);
      from = to;
    }
  }

  /** Read exactly so many bytes, little-endian. */
  static ByteBuffer take(InputStream in, int bytes) throws IOException {
    byte[] data = in.readNBytes(bytes);
    if (data.length < bytes) {
      throw new EOFException("the input ended within a chunk");
    }
    return ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
  }

  void set(int row, long value) {
    nulls[row] = false;
    bits[row] = value;
  }

  void set(int row, byte[] value) {
    nulls[row] = false;
    texts[row] = value;
  }

  boolean isNull(int row) {
    return nulls[row];
  }

  /** Return the value as it came: a whole number, a DOUBLE's bits, 1 for true. */
  long bits(int row) {
    return bits[row];
  }

  byte[] text(int row) {
    return texts[row];
  }

  /** Return the value as a double: NaN for NULL, 1 for true. */
  double number(int row) {
    if (nulls[row]) {
      return Double.NaN;
    }
    boolean isDouble = column.type() == Column.Type.NUMBER && !column.isWhole();
    return isDouble ? Double.longBitsToDouble(bits[row]) : bits[row];
  }
}
