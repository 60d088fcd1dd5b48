package millrace.kernel.avro;

/**
 * Thrown for a record that cannot be read, with a reason (a code of Quarantined.avsc) and details
 * for a person.
 */
final class Unreadable extends RuntimeException {
  private static final long serialVersionUID = 1L;

  static final String EMPTY = "empty";
  static final String SHORT = "short";
  static final String BAD_MAGIC = "bad_magic";
  static final String UNKNOWN_SCHEMA = "unknown_schema";
  static final String TRUNCATED = "truncated";
  static final String TRAILING_BYTES = "trailing_bytes";
  static final String MALFORMED = "malformed";
  static final String INCOMPATIBLE_SCHEMA = "incompatible_schema";
  static final String REFUSED = "refused";

  final String reason;

  /** No stack trace: a flood of poison must not cost more than a flood of records. */
  Unreadable(String reason, String detail) {
    super(detail, null, false, false);
    this.reason = reason;
  }

  static Unreadable malformed(String detail) {
    return new Unreadable(MALFORMED, detail);
  }

  static Unreadable incompatible(String detail) {
    return new Unreadable(INCOMPATIBLE_SCHEMA, detail);
  }

  /** Return the same with the path of the field in front. */
  Unreadable in(String field) {
    String detail = getMessage();
    String joint = detail.startsWith(".") || detail.startsWith("[") ? "" : ": ";
    return new Unreadable(reason, field + joint + detail);
  }
}
