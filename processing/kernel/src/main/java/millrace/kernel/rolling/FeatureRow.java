package millrace.kernel.rolling;

import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.DecimalData;
import org.apache.flink.table.data.MapData;
import org.apache.flink.table.data.RawValueData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.data.binary.BinaryStringData;
import org.apache.flink.types.RowKind;
import org.apache.flink.types.variant.Variant;

/** An {@link Output} as a row of Flink's, without boxing: the features, then the two marks. */
final class FeatureRow implements RowData {
  private final Output output;
  private final int late;

  FeatureRow(Output output) {
    this.output = output;
    late = output.types.length;
  }

  @Override
  public int getArity() {
    return late + 2;
  }

  @Override
  public RowKind getRowKind() {
    return RowKind.INSERT;
  }

  @Override
  public void setRowKind(RowKind kind) {
    if (kind != RowKind.INSERT) {
      throw new UnsupportedOperationException("rolling only inserts");
    }
  }

  @Override
  public boolean isNullAt(int pos) {
    return pos < late && output.isNull[pos];
  }

  @Override
  public boolean getBoolean(int pos) {
    return pos == late ? output.late : output.duplicate;
  }

  @Override
  public long getLong(int pos) {
    return output.wholes[pos];
  }

  @Override
  public double getDouble(int pos) {
    return output.numbers[pos];
  }

  @Override
  public StringData getString(int pos) {
    return BinaryStringData.fromBytes(output.texts[pos]);
  }

  @Override
  public byte getByte(int pos) {
    throw other(pos);
  }

  @Override
  public short getShort(int pos) {
    throw other(pos);
  }

  @Override
  public int getInt(int pos) {
    throw other(pos);
  }

  @Override
  public float getFloat(int pos) {
    throw other(pos);
  }

  @Override
  public DecimalData getDecimal(int pos, int precision, int scale) {
    throw other(pos);
  }

  @Override
  public TimestampData getTimestamp(int pos, int precision) {
    throw other(pos);
  }

  @Override
  public <T> RawValueData<T> getRawValue(int pos) {
    throw other(pos);
  }

  @Override
  public byte[] getBinary(int pos) {
    throw other(pos);
  }

  @Override
  public ArrayData getArray(int pos) {
    throw other(pos);
  }

  @Override
  public MapData getMap(int pos) {
    throw other(pos);
  }

  @Override
  public RowData getRow(int pos, int numFields) {
    throw other(pos);
  }

  @Override
  public Variant getVariant(int pos) {
    throw other(pos);
  }

  private static UnsupportedOperationException other(int pos) {
    return new UnsupportedOperationException(
        "column " + pos + " is BIGINT, DOUBLE, STRING or BOOLEAN");
  }
}
