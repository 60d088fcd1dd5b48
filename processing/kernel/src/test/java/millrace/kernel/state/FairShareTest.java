package millrace.kernel.state;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;

/** The heap for heads, shared by several. */
class FairShareTest {
  /** A head of 8 bytes in a buffer of 64, a key of 5, and 64 beside them. */
  private static final int ONE = 64 + 5 + 64;

  private static Bytes key(int i) {
    Bytes key = Bytes.over(String.format("%05d", i).getBytes(StandardCharsets.US_ASCII));
    key.at = key.data.length;
    return key;
  }

  private static void fill(HotHeads hot, int keys) {
    for (int i = 0; i < keys; i++) {
      hot.put(key(i), new byte[8], 0);
    }
  }

  private static int kept(HotHeads hot, int keys) {
    int kept = 0;
    for (int i = 0; i < keys; i++) {
      kept += hot.get(key(i), 0) == null ? 0 : 1;
    }
    return kept;
  }

  @Test
  void oneAloneHasAllOfIt() {
    HotHeads first = new HotHeads(new HeapBudget(1_000 * ONE));
    fill(first, 5_000);
    assertEquals(1_000, kept(first, 5_000));
  }

  @Test
  void whoComesSecondGetsHalfThoughTheFirstHadAllAndIsIdle() {
    HeapBudget budget = new HeapBudget(1_000 * ONE);
    HotHeads first = new HotHeads(budget);
    fill(first, 5_000);
    HotHeads second = new HotHeads(budget);
    assertEquals(1_000, kept(first, 5_000), "lent until it is asked for");
    fill(second, 100);
    assertEquals(100, kept(second, 100), "each of them at once");
    assertEquals(900, kept(first, 5_000), "and no more than was asked for");
    fill(second, 5_000);
    assertEquals(500, kept(second, 5_000), 2);
    assertEquals(500, kept(first, 5_000), 2);
    fill(first, 5_000);
    assertEquals(500, kept(first, 5_000), 2);
    assertTrue(budget.left() >= 0 && budget.left() < 3 * ONE, budget.left() + " left");
  }

  @Test
  void whatOneDoesNotUseOthersBorrow() {
    HeapBudget budget = new HeapBudget(900 * ONE);
    HotHeads small = new HotHeads(budget);
    HotHeads large = new HotHeads(budget);
    HotHeads larger = new HotHeads(budget);
    fill(small, 100);
    fill(large, 5_000);
    assertEquals(800, kept(large, 5_000));
    fill(larger, 5_000);
    assertEquals(100, kept(small, 100), "below its share, it loses nothing");
    assertEquals(300, kept(larger, 5_000), 2);
    assertEquals(500, kept(large, 5_000), 2);
    fill(small, 5_000);
    assertEquals(300, kept(small, 5_000), 2);
    assertEquals(300, kept(large, 5_000), 2);
  }

  @Test
  void aHeadLargerThanTheShareIsNotKeptAtAnothersExpense() {
    HeapBudget budget = new HeapBudget(100 * ONE);
    HotHeads first = new HotHeads(budget);
    fill(first, 1_000);
    HotHeads second = new HotHeads(budget);
    for (int i = 0; i < 100; i++) {
      second.put(key(i), new byte[60 * ONE], 0);
    }
    assertEquals(0, kept(second, 100));
    assertEquals(100, kept(first, 1_000));
  }

  @Test
  void aKeyThatWasTakenAwayComesBackFresh() {
    HeapBudget budget = new HeapBudget(ONE);
    HotHeads first = new HotHeads(budget);
    first.put(key(1), new byte[] {1}, 0);
    byte[] read = first.get(key(1), 0);
    HeapBudget.Lease other = budget.lease(bytes -> 0);
    HeapBudget.Lease third = budget.lease(bytes -> 0);
    assertFalse(third.takeOfOthers(ONE), "beyond its share");
    assertTrue(other.takeOfOthers(ONE / 3));
    assertNull(first.get(key(1), 0));
    assertEquals(1, read[0], "what was read stays readable");
    other.give(ONE / 3);
    first.put(key(1), new byte[] {2}, 0);
    assertEquals(2, first.get(key(1), 0)[0]);
  }

  @Test
  void sharesGrowWhenAThreadHasEndedThoughNobodyOpens() throws InterruptedException {
    HeapBudget budget = new HeapBudget(1_000 * ONE);
    CountDownLatch opened = new CountDownLatch(1);
    CountDownLatch end = new CountDownLatch(1);
    Thread before =
        new Thread(
            () -> {
              HotHeads hot = new HotHeads(budget);
              fill(hot, 5_000);
              opened.countDown();
              try {
                end.await();
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
              assertNotNull(hot);
            });
    before.start();
    opened.await();
    HotHeads after = new HotHeads(budget);
    fill(after, 5_000);
    assertEquals(500, kept(after, 5_000), 2);
    assertEquals(500 * ONE, budget.share());
    end.countDown();
    before.join();
    fill(after, 5_000);
    assertEquals(1_000, kept(after, 5_000), 2);
    assertEquals(1_000 * ONE, budget.share());
  }

  @Test
  void manyAtOnceLoseNothingAndKeepWithinTheBudget() throws Exception {
    int threads = 4;
    long size = 2_000_000;
    HeapBudget budget = new HeapBudget(size);
    CyclicBarrier together = new CyclicBarrier(threads);
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    List<Callable<HeapBudget.Lease>> jobs = new ArrayList<>();
    List<HotHeads> tables = new ArrayList<>();
    for (int t = 0; t < threads; t++) {
      Random random = new Random(t);
      int keys = 2_000 << t;
      jobs.add(
          () -> {
            HotHeads hot = new HotHeads(budget);
            synchronized (tables) {
              tables.add(hot);
            }
            Map<Integer, byte[]> all = new HashMap<>();
            together.await();
            for (int i = 0; i < 300_000; i++) {
              int k = random.nextInt(keys);
              byte[] is = hot.get(key(k), 0);
              if (is != null) {
                byte[] expected = all.get(k);
                assertArrayEquals(expected, Arrays.copyOf(is, expected.length));
              }
              byte[] head = new byte[random.nextInt(300)];
              random.nextBytes(head);
              hot.put(key(k), head, 0);
              all.put(k, head);
              assertTrue(budget.left() <= size);
            }
            together.await();
            return hot.lease();
          });
    }
    long taken = 0;
    for (Future<HeapBudget.Lease> done : pool.invokeAll(jobs)) {
      HeapBudget.Lease lease = done.get();
      assertTrue(lease.taken() > size / threads * 0.9, lease.taken() + " of " + size / threads);
      taken += lease.taken();
    }
    assertEquals(size - budget.left(), taken);
    for (HotHeads hot : tables) {
      assertEquals(hot.lease().taken(), hot.bytes(), "what is kept is what was taken");
    }
    pool.shutdown();
  }
}
