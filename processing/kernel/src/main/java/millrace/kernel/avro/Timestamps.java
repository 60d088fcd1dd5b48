package millrace.kernel.avro;

import org.apache.flink.table.data.TimestampData;

/** Avro's timestamps, all of them longs, and Flink's. */
final class Timestamps {
  // The years 1 to 9999: what SQL, ISO 8601 and Python's datetime can say. A time in a finer unit
  // than declared lies beyond, and so does what would overflow in a window's arithmetic.
  private static final long EARLIEST_MILLIS = -62_135_596_800_000L;
  private static final long LATEST_MILLIS = 253_402_300_799_999L;

  private Timestamps() {}

  /** Decimal digits of a second that a logical type keeps; 0 for other types. */
  static int digits(String logicalType) {
    return switch (logicalType) {
      case "timestamp-millis", "local-timestamp-millis" -> 3;
      case "timestamp-micros", "local-timestamp-micros" -> 6;
      case "timestamp-nanos", "local-timestamp-nanos" -> 9;
      default -> 0;
    };
  }

  /** True for the years 1 to 9999. */
  static boolean inRange(long value, int digits) {
    long millis =
        switch (digits) {
          case 3 -> value;
          case 6 -> Math.floorDiv(value, 1_000L);
          default -> Math.floorDiv(value, 1_000_000L);
        };
    return millis >= EARLIEST_MILLIS && millis <= LATEST_MILLIS;
  }

  static TimestampData fromLong(long value, int digits) {
    if (digits == 3) {
      return TimestampData.fromEpochMillis(value);
    }
    long perMilli = digits == 6 ? 1_000L : 1_000_000L;
    long rest = Math.floorMod(value, perMilli);
    return TimestampData.fromEpochMillis(
        Math.floorDiv(value, perMilli), (int) (rest * (1_000_000L / perMilli)));
  }

  static long toLong(TimestampData value, int digits) {
    return switch (digits) {
      case 3 -> value.getMillisecond();
      case 6 -> value.getMillisecond() * 1_000L + value.getNanoOfMillisecond() / 1_000;
      default -> value.getMillisecond() * 1_000_000L + value.getNanoOfMillisecond();
    };
  }
}
