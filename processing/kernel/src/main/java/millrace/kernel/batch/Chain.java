package millrace.kernel.batch;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import millrace.kernel.rolling.Column;
import millrace.kernel.rolling.HeapRolling;
import millrace.kernel.spec.SpecException;

/**
 * Apply feature sets to rows one after the other, as a job chains them: a later set may read what
 * an earlier one computed, and a row that an earlier set does not emit, or knows as a duplicate,
 * does not reach the later ones. Chunks of rows come in the order of the stream.
 */
final class Chain {
  private final List<Vector> inputs = new ArrayList<>();
  private final List<Vector> added = new ArrayList<>();
  private final List<Vector> outputs = new ArrayList<>();
  private final List<List<Link>> links = new ArrayList<>();
  private final ExecutorService threads;
  private boolean[] alive = {};

  /** Throw {@link SpecException} for a spec, key or output that does not fit the columns. */
  Chain(Plan plan, ExecutorService threads) {
    this.threads = threads;
    plan.columns().forEach(column -> inputs.add(new Vector(column)));
    List<Vector> known = new ArrayList<>(inputs);
    for (Plan.FeatureSet set : plan.sets()) {
      List<Column> columns = known.stream().map(vector -> vector.column).toList();
      int[] key = set.key().stream().mapToInt(name -> known.indexOf(find(known, name))).toArray();
      List<HeapRolling> parts = new ArrayList<>();
      for (int i = 0; i < plan.workers(); i++) {
        parts.add(new HeapRolling(set.spec(), columns));
      }
      List<Vector> results = parts.get(0).added().stream().map(Vector::new).toList();
      List<Link> workers = new ArrayList<>();
      for (int i = 0; i < plan.workers(); i++) {
        workers.add(new Link(parts.get(i), new VectorRow(known), key, results, i));
      }
      links.add(workers);
      added.addAll(results);
      known.addAll(results);
    }
    for (String name : plan.outputs()) {
      Vector vector = find(known, name);
      if (vector.column.type() == Column.Type.STRING) {
        throw new SpecException("plan: output '" + name + "' is STRING, not a number");
      }
      outputs.add(vector);
    }
  }

  private static Vector find(List<Vector> vectors, String name) {
    return vectors.stream()
        .filter(vector -> vector.column.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new SpecException("plan: unknown column '" + name + "'"));
  }

  /**
   * Read a chunk of {@code rows} rows and process it. Return the answer, ready to be written: how
   * many rows are emitted (4 bytes), the place of each in the chunk (4 bytes each), and their
   * outputs row by row (8 bytes a double, NaN for NULL).
   */
  ByteBuffer process(InputStream in, int rows) throws IOException, InterruptedException {
    for (Vector vector : inputs) {
      vector.read(in, rows);
    }
    added.forEach(vector -> vector.clear(rows));
    alive = alive.length < rows ? new boolean[rows] : alive;
    Arrays.fill(alive, 0, rows, true);
    for (List<Link> workers : links) {
      List<Callable<Void>> tasks = new ArrayList<>();
      workers.forEach(
          worker ->
              tasks.add(
                  () -> {
                    worker.process(rows);
                    return null;
                  }));
      finish(threads.invokeAll(tasks));
    }
    return answer(rows);
  }

  private static void finish(List<Future<Void>> done) throws InterruptedException {
    for (Future<Void> one : done) {
      try {
        one.get();
      } catch (ExecutionException e) {
        throw new IllegalStateException("batch: a row failed", e.getCause());
      }
    }
  }

  private ByteBuffer answer(int rows) {
    int count = 0;
    for (int row = 0; row < rows; row++) {
      count += alive[row] ? 1 : 0;
    }
    ByteBuffer answer =
        ByteBuffer.allocate(4 + count * (4 + 8 * outputs.size())).order(ByteOrder.LITTLE_ENDIAN);
    answer.putInt(count);
    for (int row = 0; row < rows; row++) {
      if (alive[row]) {
        answer.putInt(row);
      }
    }
    for (int row = 0; row < rows; row++) {
      if (alive[row]) {
        for (Vector vector : outputs) {
          answer.putDouble(vector.number(row));
        }
      }
    }
    return answer.flip();
  }

  /** One set's work on the keys of one worker. */
  private final class Link {
    private final HeapRolling rolling;
    private final VectorRow row;
    private final int[] key;
    private final Vector[] results;
    private final int worker;

    Link(HeapRolling rolling, VectorRow row, int[] key, List<Vector> results, int worker) {
      this.rolling = rolling;
      this.row = row;
      this.key = key;
      this.results = results.toArray(Vector[]::new);
      this.worker = worker;
    }

    void process(int rows) {
      for (row.at = 0; row.at < rows; row.at++) {
        if (!alive[row.at]) {
          continue;
        }
        ByteBuffer bytes = row.key(key);
        if (isOurs(bytes)) {
          alive[row.at] = rolling.process(bytes, row) && !rolling.isDuplicate();
          keep();
        }
      }
    }

    /**
     * Return whether this worker has the key. Its hash is spread, for short keys have similar ones.
     */
    private boolean isOurs(ByteBuffer bytes) {
      int hash = bytes.hashCode() * 0x9E3779B9;
      return Math.floorMod(hash ^ (hash >>> 16), links.get(0).size()) == worker;
    }

    private void keep() {
      for (int i = 0; i < results.length; i++) {
        if (rolling.isNull(i)) {
          continue;
        }
        if (results[i].column.type() == Column.Type.STRING) {
          results[i].set(row.at, rolling.text(i));
        } else {
          results[i].set(row.at, rolling.bits(i));
        }
      }
    }
  }
}
