package millrace.kernel.state;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** How much heap the heads get. */
class HeapBudgetTest {
  @AfterEach
  void clear() {
    System.clearProperty(HeapBudget.PROPERTY);
  }

  /** What is left of a shared budget that nobody has asked for yet, asked {@code times} times. */
  private static long shared(int times) throws Exception {
    URL classes = HeapBudget.class.getProtectionDomain().getCodeSource().getLocation();
    ClassLoader jdk = ClassLoader.getPlatformClassLoader();
    try (URLClassLoader another = new URLClassLoader(new URL[] {classes}, jdk)) {
      Class<?> budget = another.loadClass(HeapBudget.class.getName());
      Method shared = budget.getDeclaredMethod("shared");
      Method left = budget.getDeclaredMethod("left");
      shared.setAccessible(true);
      left.setAccessible(true);
      for (int i = 1; i < times; i++) {
        assertThrows(InvocationTargetException.class, () -> shared.invoke(null));
      }
      return (long) left.invoke(shared.invoke(null));
    }
  }

  @Test
  void theSharedBudgetAsksTheProperty() throws Exception {
    System.setProperty(HeapBudget.PROPERTY, "12345");
    assertEquals(12_345, shared(1));
    System.clearProperty(HeapBudget.PROPERTY);
    assertEquals(HeapBudget.size(null, Runtime.getRuntime().maxMemory()), shared(1));
  }

  @Test
  void everyJobIsToldOfAWrongProperty() {
    System.setProperty(HeapBudget.PROPERTY, "64m");
    Throwable second = assertThrows(InvocationTargetException.class, () -> shared(2)).getCause();
    assertInstanceOf(IllegalArgumentException.class, second);
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "1, 1", "268435456, 268435456", "9223372036854775807, 9223372036854775807"})
  void thePropertyIsTheSize(String given, long size) {
    assertEquals(size, HeapBudget.size(given, 1_000));
  }

  @Test
  void withoutThePropertyItIsTwoFifthsOfTheHeap() {
    assertEquals(400, HeapBudget.size(null, 1_000));
  }

  @ParameterizedTest
  @ValueSource(strings = {"-1", "", " ", "many", "64m", "1.5", "0x10", "9223372036854775808"})
  void whatIsNoSizeIsRefusedByName(String given) {
    assertEquals(
        "-Dmillrace.heads.bytes is a number of bytes, 0 or more, not '" + given + "'",
        assertThrows(IllegalArgumentException.class, () -> HeapBudget.size(given, 1_000))
            .getMessage());
  }

  @Test
  void ofNothingNoHeadIsKept() {
    HotHeads hot = new HotHeads(new HeapBudget(0));
    Bytes key = Bytes.over(new byte[] {1});
    key.at = 1;
    for (int i = 0; i < 100; i++) {
      hot.put(key, new byte[1], 0);
      assertNull(hot.get(key, 0));
    }
  }
}
