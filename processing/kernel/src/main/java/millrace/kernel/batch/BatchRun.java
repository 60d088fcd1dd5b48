package millrace.kernel.batch;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import millrace.kernel.spec.SpecException;

/**
 * Compute the features of a stream of rows: a {@link Plan} as the first line of standard input,
 * then chunks until its end (the number of rows in 4 bytes, then each column as {@link Vector#read}
 * says); to each an answer on standard output ({@link Chain#process}), in order. Numbers are
 * little-endian. Exit code 2, with a line on standard error, for a plan that does not hold or an
 * input that breaks off.
 */
public final class BatchRun {
  private static final int BUFFER = 1 << 18;

  private BatchRun() {}

  /** Run from standard input to standard output. */
  public static void main(String[] arguments) throws Exception {
    try {
      run(new BufferedInputStream(System.in, BUFFER), System.out);
    } catch (SpecException | EOFException e) {
      System.err.println(e.getMessage());
      System.exit(2);
    }
  }

  /** Answer every chunk of {@code in}. */
  static void run(InputStream in, OutputStream out) throws IOException, InterruptedException {
    Plan plan = Plan.parse(line(in));
    ExecutorService threads = Executors.newFixedThreadPool(plan.workers());
    try {
      Chain chain = new Chain(plan, threads);
      for (int rows = rows(in); rows >= 0; rows = rows(in)) {
        ByteBuffer answer = chain.process(in, rows);
        out.write(answer.array(), 0, answer.limit());
        out.flush();
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int one = in.read(); one != '\n'; one = in.read()) {
      if (one < 0) {
        throw new EOFException("the input ended within the plan");
      }
      line.write(one);
    }
    return line.toString(StandardCharsets.UTF_8);
  }

  /** The rows of the next chunk, or -1 at the end. */
  private static int rows(InputStream in) throws IOException {
    in.mark(1);
    if (in.read() < 0) {
      return -1;
    }
    in.reset();
    return Vector.take(in, 4).getInt();
  }
}
