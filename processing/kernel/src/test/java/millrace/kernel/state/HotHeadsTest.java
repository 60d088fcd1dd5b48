package millrace.kernel.state;

import static java.util.Collections.nCopies;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.types.DataType;
import org.junit.jupiter.api.Test;

/** Heads kept beside the state never say anything else than the state. */
class HotHeadsTest {
  private static final DataType INPUT =
      DataTypes.ROW(
          DataTypes.FIELD("a", DataTypes.STRING()),
          DataTypes.FIELD("b", DataTypes.BIGINT()),
          DataTypes.FIELD("c", DataTypes.DOUBLE()));

  private static Bytes key(String text) {
    Bytes key = new Bytes(8);
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    key.put(bytes, 0, bytes.length);
    return key;
  }

  private static byte[] head(Random random, int most) {
    byte[] head = new byte[1 + random.nextInt(most)];
    random.nextBytes(head);
    return head;
  }

  private static void await(CountDownLatch latch) {
    try {
      assertTrue(latch.await(1, TimeUnit.MINUTES));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static GenericRowData row(String a, Long b) {
    return GenericRowData.of(a == null ? null : StringData.fromString(a), b, 1.0);
  }

  @Test
  void whatIsFoundIsWhatWasPutLast() {
    for (long capacity : new long[] {0, 4_000, 1L << 20, 1L << 40}) {
      Random random = new Random(capacity);
      HotHeads hot = new HotHeads(new HeapBudget(capacity));
      Map<String, byte[]> all = new HashMap<>();
      int found = 0;
      for (int i = 0; i < 200_000; i++) {
        String name = "k" + random.nextInt(100_000);
        byte[] is = hot.get(key(name), 0);
        if (is != null) {
          byte[] expected = all.get(name);
          assertNotNull(expected);
          assertArrayEquals(expected, Arrays.copyOf(is, expected.length));
          found++;
        }
        byte[] head = head(random, 700);
        hot.put(key(name), head, 0);
        all.put(name, head);
      }
      assertEquals(capacity == 0, found == 0, "capacity " + capacity);
    }
  }

  @Test
  void aHeadThatOutgrowsTheRoomIsForgottenNotStale() {
    HotHeads hot = new HotHeads(new HeapBudget(300));
    hot.put(key("a"), new byte[100], 0);
    assertNotNull(hot.get(key("a"), 0));
    hot.put(key("a"), new byte[1000], 0);
    assertNull(hot.get(key("a"), 0));
  }

  @Test
  void aHeadIsFoundForAsLongAsItIsAskedForAndItsTimeMovesWithItsBuffer() {
    HotHeads hot = new HotHeads(new HeapBudget(1L << 30));
    for (int i = 0; i < 5_000; i++) {
      hot.put(key("k" + i), new byte[8], i);
    }
    for (int i = 0; i < 5_000; i++) {
      assertNull(hot.get(key("k" + i), i + 1));
    }
    hot.put(key("k7"), new byte[8], 9_000);
    assertNotNull(hot.get(key("k7"), 9_000));
    assertNull(hot.get(key("k7"), 9_001));
  }

  @Test
  void keysCountToo() {
    HeapBudget budget = new HeapBudget(1_000_000);
    HotHeads hot = new HotHeads(budget);
    int kept = 0;
    for (int i = 0; i < 100; i++) {
      Bytes key = key(i + "k".repeat(50_000));
      hot.put(key, new byte[10], 0);
      kept += hot.get(key, 0) == null ? 0 : 1;
    }
    assertTrue(kept >= 19, kept + " kept");
    assertTrue(budget.left() < 51_000, budget.left() + " left");
    hot.put(key("short"), new byte[10], 0);
    for (int i = 0; i < 100; i++) {
      hot.put(key("k" + i), new byte[10], 0);
    }
    assertTrue(budget.left() >= 0 && budget.left() <= 1_000_000, budget.left() + " left");
  }

  @Test
  void whatIsKeptStaysWithinTheBudgetAndAKeyThatComesOftenGetsIn() {
    HeapBudget budget = new HeapBudget(10_000_000);
    HotHeads hot = new HotHeads(budget);
    for (int i = 0; i < 1_000_000; i++) {
      hot.put(key("k" + i), new byte[] {(byte) i}, 0);
    }
    int kept = 0;
    for (int i = 0; i < 1_000_000; i++) {
      kept += hot.get(key("k" + i), 0) == null ? 0 : 1;
    }
    // A buffer of 64 bytes, a key of 2 to 7, and 64 beside them.
    assertTrue(kept > 70_000 && kept <= 10_000_000 / 130, kept + " kept");
    for (String often : new String[] {"x", "y", "z"}) {
      for (int i = 0; i < 20 && hot.get(key(often), 0) == null; i++) {
        hot.put(key(often), new byte[50], 0);
      }
      assertNotNull(hot.get(key(often), 0));
    }
    assertTrue(budget.left() >= 0, budget.left() + " left");
  }

  @Test
  void theBudgetIsSharedAndComesBackWithTheThreadsEnd() throws InterruptedException {
    HeapBudget budget = new HeapBudget(1_000);
    HotHeads mine = new HotHeads(budget);
    CountDownLatch took = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    Thread other =
        new Thread(
            () -> {
              new HotHeads(budget).put(key("a"), new byte[800], 0);
              took.countDown();
              await(end);
            });
    other.start();
    await(took);
    for (int i = 0; i < 100; i++) {
      mine.put(key("a"), new byte[800], 0);
    }
    assertNull(mine.get(key("a"), 0));
    end.countDown();
    other.join();
    for (int i = 0; i < 100; i++) {
      mine.put(key("a"), new byte[800], 0);
    }
    assertNotNull(mine.get(key("a"), 0));
  }

  @Test
  void whatAnEndedThreadHadComesBackOnce() throws Exception {
    int threads = 8;
    HeapBudget budget = new HeapBudget(1_000_000);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    for (int round = 0; round < 500; round++) {
      Thread ended = new Thread(() -> new HotHeads(budget).put(key("a"), new byte[800], 0));
      ended.start();
      ended.join();
      CyclicBarrier together = new CyclicBarrier(threads);
      Callable<HeapBudget.Lease> opening =
          () -> {
            together.await();
            return budget.lease(bytes -> 0);
          };
      for (Future<HeapBudget.Lease> opened : pool.invokeAll(nCopies(threads, opening))) {
        opened.get();
      }
      assertEquals(1_000_000, budget.left(), "round " + round);
    }
    pool.shutdown();
  }

  @Test
  void keysThatFlinkTellsApartHaveOtherBytes() {
    RowKey keys = RowKey.over(INPUT, new int[] {0, 1});
    Map<String, String> seen = new HashMap<>();
    for (String a : new String[] {null, "", "a", "ab", "\u0001", "\u0000"}) {
      for (Long b : new Long[] {null, 0L, 1L, 97L, 1L << 60}) {
        Bytes key = new Bytes(4);
        keys.write(row(a, b), key);
        assertNull(seen.put(Arrays.toString(key.copy()), a + "/" + b), a + "/" + b);
      }
    }
  }

  @Test
  void aKeyOfNumbersThatEqualInManyWaysIsNotKept() {
    assertNull(RowKey.over(INPUT, new int[] {0, 2}));
    assertNotNull(RowKey.over(INPUT, new int[] {1}));
  }
}
