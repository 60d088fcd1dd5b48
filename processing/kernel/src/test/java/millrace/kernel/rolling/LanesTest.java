package millrace.kernel.rolling;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import millrace.kernel.state.Bytes;
import org.junit.jupiter.api.Test;

/** What is written is read again, to the bit. */
class LanesTest {
  private static final long BASE = 1_767_225_600_000L;
  private final Lanes lanes =
      new Lanes(List.of(Lanes.Kind.values()), new int[Lanes.Kind.values().length]);

  private Tiles roundTrip(Tiles tiles) {
    Bytes bytes = new Bytes(1);
    lanes.write(bytes, tiles, 0, BASE);
    Tiles read = new Tiles(lanes, 1);
    Bytes in = Bytes.over(bytes.copy());
    lanes.read(in, read, 0, BASE);
    assertEquals(bytes.at, in.at, "all of it is read");
    return read;
  }

  private static void assertSame(Tiles expected, Tiles actual) {
    assertArrayEquals(expected.longs, actual.longs);
    for (int i = 0; i < expected.doubles.length; i++) {
      assertEquals(
          Double.doubleToRawLongBits(expected.doubles[i]),
          Double.doubleToRawLongBits(actual.doubles[i]),
          "double " + expected.doubles[i]);
    }
    assertTrue(Arrays.deepEquals(expected.objects, actual.objects));
  }

  @Test
  void anEmptyTile() {
    Tiles tiles = new Tiles(lanes, 1);
    lanes.clear(tiles, 0);
    assertSame(tiles, roundTrip(tiles));
  }

  @Test
  void oddDoubles() {
    double[] odd = {
      0.0,
      12.34,
      -12.34,
      0.1 + 0.2,
      1e15,
      1e-320,
      Double.MAX_VALUE,
      -Double.MIN_VALUE,
      Math.PI,
      Double.NaN,
      Double.POSITIVE_INFINITY,
      Double.NEGATIVE_INFINITY,
      -0.0,
      21990232555.52,
      0.005
    };
    Tiles tiles = new Tiles(lanes, 1);
    lanes.clear(tiles, 0);
    for (double a : odd) {
      for (double b : odd) {
        for (int i = 0; i < lanes.doubles; i++) {
          tiles.doubles[i] = i % 2 == 0 ? a : b;
        }
        assertSame(tiles, roundTrip(tiles));
      }
    }
  }

  @Test
  void randomTiles() {
    Random random = new Random(1);
    Tiles tiles = new Tiles(lanes, 1);
    for (int round = 0; round < 1000; round++) {
      lanes.clear(tiles, 0);
      for (int i = 0; i < lanes.longs; i++) {
        tiles.longs[i] = random.nextLong() >>> (1 + random.nextInt(63));
      }
      double sum = 0;
      for (int i = 0; i < lanes.doubles; i++) {
        sum += random.nextInt(100_000) / 100.0;
        tiles.doubles[i] = random.nextBoolean() ? sum : random.nextGaussian();
      }
      tiles.objects[0] = random.ints(random.nextInt(5)).toArray();
      tiles.objects[1] =
          random.nextBoolean()
              ? null
              : "é".repeat(random.nextInt(4)).getBytes(java.nio.charset.StandardCharsets.UTF_8);
      assertSame(tiles, roundTrip(tiles));
    }
  }

  @Test
  void moneyIsShort() {
    Lanes money = new Lanes(List.of(Lanes.Kind.COUNT, Lanes.Kind.SUM, Lanes.Kind.MAX), new int[3]);
    Tiles tiles = new Tiles(money, 1);
    tiles.longs[0] = 1;
    tiles.doubles[0] = 33.20;
    tiles.doubles[1] = 33.20;
    Bytes bytes = new Bytes(64);
    money.write(bytes, tiles, 0, BASE);
    assertEquals(4, bytes.at, "count, codes, and the amount once");
  }
}
