package millrace.kernel.rolling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.nio.charset.StandardCharsets;
import java.util.stream.IntStream;
import millrace.kernel.state.Hash;
import org.junit.jupiter.api.Test;

/** Vectors made by the reference, domain/features/aggregates.py. */
class HashTest {
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void textsHashAsInTheReference() {
    assertEquals(0xefd01f60ba992926L, Hash.of(utf8("")));
    assertEquals(0x82a2a958a9bece5bL, Hash.of(utf8("a")));
    assertEquals(0xe5c7993df9de03b9L, Hash.of(utf8("customer-42")));
    assertEquals(0x9d55ccb9ba86763bL, Hash.of(utf8("é")));
  }

  @Test
  void numbersHashAsTheirBigEndianBytes() {
    assertEquals(0x7bd3144f, Hash.high(Hash.of(0.0)));
    assertEquals(0x34fb0421, Hash.high(Hash.of(1.0)));
    assertEquals(0x3e50280d, Hash.high(Hash.of(-2.5)));
    assertEquals(0xefd6e013, Hash.high(Hash.of(1e300)));
  }

  @Test
  void idsHashWithTheirTime() {
    assertEquals(0xb9617579a05c066eL, Hash.of(utf8("tx-1"), 1_767_225_600_000L));
    assertEquals(0x6a92c0228678c02eL, Hash.of(utf8(""), -1));
  }

  @Test
  void estimatesDistinctValuesAsInTheReference() {
    int[] all = IntStream.range(0, 1000).map(i -> Hash.high(Hash.of(utf8("v" + i)))).toArray();
    int[] k64 = null;
    int[] k8 = null;
    for (int hash : all) {
      k64 = Distinct.add(k64, hash, 64);
      k8 = Distinct.add(k8, hash, 8);
    }
    assertEquals(935, Distinct.estimate(k64, 64));
    assertEquals(1220, Distinct.estimate(k8, 8));
    assertArrayEquals(new int[] {1313830, 4925717, 7576131}, java.util.Arrays.copyOf(k64, 3));
  }

  @Test
  void isExactBelowK() {
    int[] set = null;
    for (int i = 0; i < 7; i++) {
      set = Distinct.add(set, Hash.high(Hash.of(utf8("v" + i % 7))), 8);
      assertSame(set, Distinct.add(set, set[0], 8));
    }
    assertEquals(7, Distinct.estimate(set, 8));
    assertEquals(0, Distinct.estimate(null, 8));
  }

  @Test
  void theUnionKeepsTheSmallestOfBoth() {
    int[] odd = {1, 3, 5, -1};
    int[] even = {0, 3, 4};
    assertArrayEquals(new int[] {0, 1, 3, 4, 5, -1}, Distinct.union(odd, even, 8));
    assertArrayEquals(new int[] {0, 1, 3}, Distinct.union(odd, even, 3));
    assertSame(odd, Distinct.union(odd, null, 8));
    assertSame(even, Distinct.union(null, even, 8));
  }
}
