package millrace.kernel.avro;

import java.util.HashMap;
import java.util.Map;
import java.util.function.LongSupplier;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.logical.RowType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decode Confluent wire format (a zero byte, the schema's id in four bytes, Avro) to rows. Each
 * subtask has one; not thread-safe. No content of a record makes it throw; it passes on what the
 * registry's client throws, which is not the record's fault.
 */
final class Decoder {
  /** Looks up a writer's schema. */
  interface Schemas {
    /**
     * The schema's text.
     *
     * @throws Unreadable unknown_schema or incompatible_schema: for good, as far as the registry
     *     knows now
     * @throws InterruptedException while waiting for a registry that is away
     */
    String byId(int id) throws InterruptedException;
  }

  private static final Logger LOG = LoggerFactory.getLogger(Decoder.class);
  private static final int HEADER = 5;

  /**
   * Bytes of the longest message that is read: what a broker takes by default. Compressed it may
   * have taken more, and what is made of it would not get out again.
   */
  static final int LONGEST = 1_048_588;

  private static final int MOST_UNKNOWN = 10_000;

  private final Contracts contracts;
  private final RowType columns;
  private final int width;
  private final Schemas schemas;
  private final long unknownForMillis;
  private final LongSupplier clock;
  private final Input in = new Input();
  private final Map<Integer, Object> plans = new HashMap<>();
  private final Map<Integer, Long> unknownUntil = new HashMap<>();
  private int lastId = -1;
  private RecordReader lastPlan;
  private Unreadable error;

  /**
   * @param contracts what records may be
   * @param width fields of the rows; those after the columns stay NULL
   * @param unknownForMillis how long the answer "no such id" holds
   * @param clock milliseconds
   */
  Decoder(
      Contracts contracts,
      RowType columns,
      int width,
      Schemas schemas,
      long unknownForMillis,
      LongSupplier clock) {
    this.contracts = contracts;
    this.columns = columns;
    this.width = width;
    this.schemas = schemas;
    this.unknownForMillis = unknownForMillis;
    this.clock = clock;
  }

  /** Return the row, or null if {@link #error} says why there is none. */
  GenericRowData decode(byte[] message) throws InterruptedException {
    error = null;
    try {
      return read(plan(id(message)), message);
    } catch (Unreadable e) {
      error = e;
      return null;
    }
  }

  /** Return why the last record gave no row. */
  Unreadable error() {
    return error;
  }

  /** Return the contract that the last row was read as; do not call after an error. */
  StringData record() {
    return lastPlan.record;
  }

  private GenericRowData read(RecordReader plan, byte[] message) {
    in.reset(message, HEADER);
    GenericRowData row = new GenericRowData(width);
    try {
      plan.readInto(row, in);
    } catch (Unreadable e) {
      throw e;
    } catch (RuntimeException | StackOverflowError e) {
      // A mistake of ours must not become a job that restarts for ever on one record.
      LOG.error("Reading a record failed in a way nobody thought of", e);
      throw Unreadable.malformed("reader failed: " + e);
    }
    if (in.remaining() > 0) {
      throw new Unreadable(Unreadable.TRAILING_BYTES, in.remaining() + " bytes after the record");
    }
    if (in.refusal() != null) {
      throw new Unreadable(Unreadable.REFUSED, in.refusal());
    }
    return row;
  }

  private static int id(byte[] message) {
    if (message == null || message.length == 0) {
      throw new Unreadable(Unreadable.EMPTY, message == null ? "no value" : "no bytes");
    }
    if (message.length > LONGEST) {
      throw new Unreadable(
          Unreadable.REFUSED, message.length + " bytes, a message has at most " + LONGEST);
    }
    if (message.length < HEADER) {
      throw new Unreadable(Unreadable.SHORT, message.length + " bytes");
    }
    if (message[0] != 0) {
      throw new Unreadable(Unreadable.BAD_MAGIC, "first byte " + (message[0] & 0xff));
    }
    return (message[1] & 0xff) << 24
        | (message[2] & 0xff) << 16
        | (message[3] & 0xff) << 8
        | (message[4] & 0xff);
  }

  private RecordReader plan(int id) throws InterruptedException {
    if (id == lastId && lastPlan != null) {
      return lastPlan;
    }
    Object plan = plans.get(id);
    if (plan == null) {
      plan = compile(id);
      plans.put(id, plan);
    }
    if (plan instanceof Unreadable why) {
      throw new Unreadable(why.reason, why.getMessage());
    }
    lastId = id;
    lastPlan = (RecordReader) plan;
    return lastPlan;
  }

  /** A plan, or the reason why there can be none for this id; throws where that may change. */
  private Object compile(int id) throws InterruptedException {
    String text;
    try {
      text = fetch(id);
    } catch (Unreadable e) {
      if (e.reason.equals(Unreadable.UNKNOWN_SCHEMA)) {
        throw e;
      }
      return e;
    }
    try {
      AvroSchema writer = AvroSchema.parse(text);
      return Resolver.record(writer, contracts.choose(writer), columns, width);
    } catch (Unreadable e) {
      return e.in("schema " + id);
    } catch (RuntimeException | StackOverflowError e) {
      return Unreadable.incompatible("schema " + id + " can't be read: " + e.getMessage());
    }
  }

  private String fetch(int id) throws InterruptedException {
    Long until = unknownUntil.get(id);
    if (id < 0 || (until != null && clock.getAsLong() < until)) {
      throw new Unreadable(Unreadable.UNKNOWN_SCHEMA, "id " + id);
    }
    try {
      String text = schemas.byId(id);
      unknownUntil.remove(id);
      return text;
    } catch (Unreadable e) {
      if (e.reason.equals(Unreadable.UNKNOWN_SCHEMA)) {
        if (unknownUntil.size() >= MOST_UNKNOWN) {
          unknownUntil.clear();
        }
        unknownUntil.put(id, clock.getAsLong() + unknownForMillis);
      }
      throw e;
    }
  }
}
