package millrace.kernel.avro;

import org.apache.flink.table.data.ArrayData;
import org.apache.flink.table.data.RowData;

/** Writes a column's value as Avro: from a row without boxing, or from an array. */
interface Writer {
  void write(RowData row, int column, Output out);

  void write(ArrayData items, int index, Output out);
}
