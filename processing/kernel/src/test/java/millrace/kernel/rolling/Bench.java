package millrace.kernel.rolling;

import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import millrace.kernel.state.HeapBudget;
import millrace.kernel.state.HotHeads;
import millrace.kernel.state.MapStore;
import millrace.kernel.state.RowKey;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.DataType;

/**
 * Events per second of the engine alone, over a heap store: {@code Bench [keys] [events] [days]
 * [id]}. With {@code hot=BYTES} as the last argument it goes through {@link HotHeads} with a budget
 * of so many bytes, as in a job, over a map for each key. The work is that of the benchmark: 24
 * tiles of 1 h, 28 of 6 h, 30 of 1 d, each with count, sum, max and ratio. Each key pays at random
 * times.
 */
final class Bench {
  private static final List<Column> COLUMNS =
      HeapRow.columns("ts TIMESTAMP", "amount DOUBLE", "id STRING");

  private Bench() {}

  /** Twelve features over three windows. */
  static String spec(boolean withId) {
    StringBuilder features = new StringBuilder();
    for (String window : List.of("1d", "7d", "30d")) {
      for (String aggregate : List.of("count", "sum", "max", "ratio")) {
        features
            .append(features.isEmpty() ? "" : ", ")
            .append("{\"name\": \"")
            .append(aggregate + "_" + window)
            .append("\", \"aggregate\": \"" + aggregate + "\", \"window\": \"" + window + "\"")
            .append(aggregate.equals("count") ? "}" : ", \"column\": \"amount\"}");
      }
    }
    return "{\"version\": 1, \"name\": \"bench\", \"time\": \"ts\", "
        + (withId ? "\"id\": \"id\", " : "")
        + "\"windows\": {\"1d\": {\"tile_ms\": 3600000, \"tiles\": 24}, "
        + "\"7d\": {\"tile_ms\": 21600000, \"tiles\": 28}, "
        + "\"30d\": {\"tile_ms\": 86400000, \"tiles\": 30}}, \"features\": ["
        + features
        + "]}";
  }

  /** Of this thread, so that what else runs on the machine does not count. */
  private static long cpu() {
    return ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
  }

  /** The row at hand, unboxed. */
  private static final class Event implements Row {
    long time;
    double amount;
    byte[] id;

    void draw(Random random, int i, int events, long days, boolean withId) {
      time = 1_767_225_600_000L + (long) ((double) i / events * days * 86_400_000L);
      amount = Math.rint(Math.exp(3.5 + 0.8 * random.nextGaussian()) * 100) / 100;
      if (withId) {
        id = Integer.toString(i).getBytes(StandardCharsets.US_ASCII);
      }
      if (random.nextInt(50) == 0) {
        time -= random.nextInt(600_000);
      }
    }

    @Override
    public boolean isNull(int column) {
      return false;
    }

    @Override
    public double number(int column) {
      return amount;
    }

    @Override
    public boolean bool(int column) {
      return false;
    }

    @Override
    public byte[] text(int column) {
      return id;
    }

    @Override
    public long time(int column) {
      return time;
    }
  }

  private static void hot(int keys, int events, long days, boolean withId, long budget) {
    DataType key = DataTypes.ROW(DataTypes.FIELD("key", DataTypes.STRING()));
    List<MapView<Long, byte[]>> views = new ArrayList<>();
    RowData[] rows = new RowData[keys];
    for (int i = 0; i < keys; i++) {
      views.add(new MapView<>());
      rows[i] = GenericRowData.of(StringData.fromString("customer-" + i));
    }
    MapStore store =
        new MapStore(
            RowKey.over(key, new int[] {0}),
            new HotHeads(new HeapBudget(budget)),
            System::currentTimeMillis,
            Long.MAX_VALUE);
    Engine engine = new Engine(LayoutBuilder.build(SpecParser.parse(spec(withId)), COLUMNS));
    Random random = new Random(7);
    Event event = new Event();
    long begin = cpu();
    int chunk = events / 8;
    for (int i = 0; i < events; i++) {
      event.draw(random, i, events, days, withId);
      int at = random.nextInt(keys);
      store.set(views.get(at), rows[at]);
      engine.process(event, store);
      if ((i + 1) % chunk == 0) {
        long now = cpu();
        System.out.printf("%,d events per CPU-second%n", (long) (chunk * 1e9 / (now - begin)));
        begin = now;
      }
    }
  }

  public static void main(String[] args) {
    int keys = args.length > 0 ? Integer.parseInt(args[0]) : 10_000;
    int events = args.length > 1 ? Integer.parseInt(args[1]) : 2_000_000;
    long days = args.length > 2 ? Long.parseLong(args[2]) : 40;
    boolean withId = Arrays.asList(args).contains("id");
    String last = args.length == 0 ? "" : args[args.length - 1];
    if (last.startsWith("hot=")) {
      hot(keys, events, days, withId, Long.parseLong(last.substring(4)));
      return;
    }
    HeapStore[] stores = new HeapStore[keys];
    Arrays.setAll(stores, i -> new HeapStore());
    Engine engine = new Engine(LayoutBuilder.build(SpecParser.parse(spec(withId)), COLUMNS));
    Random random = new Random(7);
    Event event = new Event();
    double sum = 0;
    long begin = cpu();
    int chunk = events / 8;
    for (int i = 0; i < events; i++) {
      event.draw(random, i, events, days, withId);
      engine.process(event, stores[random.nextInt(keys)]);
      sum += engine.output().numbers[1];
      if ((i + 1) % chunk == 0) {
        long now = cpu();
        System.out.printf("%,d events per CPU-second%n", (long) (chunk * 1e9 / (now - begin)));
        begin = now;
      }
    }
    int[] bytes = new int[2];
    for (HeapStore store : stores) {
      bytes[0] += Keys.bytes(store)[0];
      bytes[1] += Keys.bytes(store)[1];
    }
    System.out.printf(
        "bytes a key: head %d, apart %d (%s)%n", bytes[0] / keys, bytes[1] / keys, sum);
  }
}
