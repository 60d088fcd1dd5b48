package millrace.kernel.batch;

import java.nio.ByteBuffer;
import java.util.List;
import millrace.kernel.rolling.Column;
import millrace.kernel.rolling.Row;

/** The row at {@link #at} of a chunk's columns, as the engine reads it. */
final class VectorRow implements Row {
  private final Vector[] vectors;
  int at;

  VectorRow(List<Vector> vectors) {
    this.vectors = vectors.toArray(Vector[]::new);
  }

  @Override
  public boolean isNull(int column) {
    return vectors[column].isNull(at);
  }

  @Override
  public double number(int column) {
    return vectors[column].number(at);
  }

  @Override
  public boolean bool(int column) {
    return vectors[column].bits(at) != 0;
  }

  @Override
  public byte[] text(int column) {
    return vectors[column].text(at);
  }

  @Override
  public long time(int column) {
    return vectors[column].bits(at);
  }

  /** Return the values of {@code columns} as bytes that are equal for equal values only. */
  ByteBuffer key(int[] columns) {
    int size = 0;
    for (int column : columns) {
      size += 5 + (isText(column) && !isNull(column) ? text(column).length : 4);
    }
    ByteBuffer key = ByteBuffer.allocate(size);
    for (int column : columns) {
      if (isNull(column)) {
        key.put((byte) 0);
      } else if (isText(column)) {
        key.put((byte) 1).putInt(text(column).length).put(text(column));
      } else {
        key.put((byte) 1).putLong(time(column));
      }
    }
    return key.flip();
  }

  private boolean isText(int column) {
    return vectors[column].column.type() == Column.Type.STRING;
  }
}
