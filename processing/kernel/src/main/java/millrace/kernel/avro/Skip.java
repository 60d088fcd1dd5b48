package millrace.kernel.avro;

/** Skip values that no column asks for, checking their structure but not their content. */
final class Skip {
  private Skip() {}

  static void value(AvroSchema schema, Input in) {
    switch (schema.type) {
      case NULL -> {}
      case BOOLEAN -> in.readBoolean();
      case INT -> in.readInt();
      case LONG -> in.readLong();
      case FLOAT -> in.skip(4);
      case DOUBLE -> in.skip(8);
      case BYTES, STRING -> in.skip(in.readLength());
      case FIXED -> in.skip(schema.size);
      case ENUM -> in.readIndex(schema.symbols.length, "symbol");
      case UNION -> union(schema, in);
      case RECORD -> record(schema, in);
      case ARRAY -> items(schema.items, 0, in);
      case MAP -> items(schema.items, 1, in);
    }
  }

  /** Bytes that a value takes at least; 0 for what may take none. */
  static int smallest(AvroSchema schema) {
    return smallest(schema, 0);
  }

  private static int smallest(AvroSchema schema, int depth) {
    return switch (schema.type) {
      case NULL -> 0;
      case FLOAT -> 4;
      case DOUBLE -> 8;
      case FIXED -> schema.size;
      // Where records hold records for ever there is no smallest one: stop looking somewhere.
      case RECORD ->
          depth > 8
              ? 0
              : schema.fields.stream().mapToInt(f -> smallest(f.schema(), depth + 1)).sum();
      default -> 1;
    };
  }

  private static void union(AvroSchema schema, Input in) {
    in.enter();
    value(schema.branches.get(in.readIndex(schema.branches.size(), "branch")), in);
    in.leave();
  }

  private static void record(AvroSchema schema, Input in) {
    in.enter();
    for (AvroSchema.Field field : schema.fields) {
      value(field.schema(), in);
    }
    in.leave();
  }

  /** An array's items ({@code keyBytes} 0) or a map's entries (1: the least that a key takes). */
  private static void items(AvroSchema item, int keyBytes, Input in) {
    in.enter();
    int smallest = smallest(item) + keyBytes;
    int total = 0;
    for (int count = in.readBlock(smallest, total);
        count != 0;
        count = in.readBlock(smallest, total)) {
      for (int i = 0; i < count; i++) {
        if (keyBytes > 0) {
          in.skip(in.readLength());
        }
        value(item, in);
      }
      total += count;
    }
    in.leave();
  }
}
