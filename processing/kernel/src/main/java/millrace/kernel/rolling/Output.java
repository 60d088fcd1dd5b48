package millrace.kernel.rolling;

import java.util.Arrays;

/** The features of one row, by their place in the spec. Reused between rows. */
final class Output {
  /** The SQL type of a feature. */
  enum Type {
    BIGINT,
    DOUBLE,
    STRING
  }

  final Type[] types;
  final boolean[] isNull;
  final double[] numbers;
  final long[] wholes;
  final byte[][] texts;
  boolean late;
  boolean duplicate;

  Output(Type[] types) {
    this.types = types;
    isNull = new boolean[types.length];
    numbers = new double[types.length];
    wholes = new long[types.length];
    texts = new byte[types.length][];
  }

  /** All features NULL, neither late nor duplicate. */
  void clear() {
    Arrays.fill(isNull, true);
    late = false;
    duplicate = false;
  }

  /** A DOUBLE that is not finite is NULL. */
  void number(int feature, double value) {
    numbers[feature] = value;
    isNull[feature] = !Double.isFinite(value);
  }

  void whole(int feature, long value) {
    wholes[feature] = value;
    isNull[feature] = false;
  }

  void text(int feature, byte[] value) {
    texts[feature] = value;
    isNull[feature] = value == null;
  }
}
