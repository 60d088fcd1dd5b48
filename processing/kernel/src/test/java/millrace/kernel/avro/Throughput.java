package millrace.kernel.avro;

import java.util.List;
import java.util.Random;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericRecord;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.types.logical.RowType;

/**
 * How many records a core decodes and encodes in a second; not a test. Run: {@code java -cp …
 * millrace.kernel.avro.Throughput [record]}.
 */
public final class Throughput {
  private static final int RECORDS = 10_000;
  private static final int ROUNDS = 12;

  private Throughput() {}

  /** Prints records per second, the best of some rounds after warming up. */
  public static void main(String[] arguments) throws InterruptedException {
    String name = arguments.length > 0 ? arguments[0] : "Transaction";
    String text = Records.contract(name);
    Schema schema = Records.avro(text);
    RowType columns = Records.columns(schema);
    byte[][] messages = new byte[RECORDS][];
    Random random = new Random(1);
    for (int i = 0; i < RECORDS; i++) {
      GenericRecord record = Records.record(schema, random);
      for (Schema.Field field : schema.getFields()) {
        if (field.schema().getType() == Schema.Type.STRING) {
          record.put(field.pos(), String.format("id-%09d", random.nextInt(1_000_000_000)));
        }
      }
      messages[i] = Records.write(1, record, schema);
    }
    Decoder decoder =
        new Decoder(
            Contracts.of(List.of(text)),
            columns,
            columns.getFieldCount(),
            id -> text,
            0,
            System::currentTimeMillis);
    AvroSerialization encoder = new AvroSerialization("http://none", "none", text, columns);
    encoder.open(1);
    GenericRowData[] rows = new GenericRowData[RECORDS];
    double decoded = 0;
    double encoded = 0;
    long bytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
      long start = System.nanoTime();
      for (int again = 0; again < 100; again++) {
        for (int i = 0; i < RECORDS; i++) {
          rows[i] = decoder.decode(messages[i]);
        }
      }
      decoded = Math.max(decoded, 100 * RECORDS * 1e9 / (System.nanoTime() - start));
      start = System.nanoTime();
      for (int again = 0; again < 100; again++) {
        for (int i = 0; i < RECORDS; i++) {
          bytes += encoder.serialize(rows[i]).length;
        }
      }
      encoded = Math.max(encoded, 100 * RECORDS * 1e9 / (System.nanoTime() - start));
    }
    System.out.printf(
        "%s, %d bytes: %,.0f decodes/s, %,.0f encodes/s%n",
        name, bytes / (ROUNDS * 100L * RECORDS), decoded, encoded);
  }
}
