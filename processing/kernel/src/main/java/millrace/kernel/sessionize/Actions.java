package millrace.kernel.sessionize;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.table.data.StringData;

/** The actions that nearly every click has: in the state each is a code, 0 any other text. */
final class Actions {
  /** By code. Codes stay: states are read by them. */
  private static final String[] NAMES = {null, "view", "addtocart", "transaction"};

  static final byte[][] UTF8 = new byte[NAMES.length][];
  static final StringData[] TEXTS = new StringData[NAMES.length];

  static {
    for (int code = 1; code < NAMES.length; code++) {
      UTF8[code] = NAMES[code].getBytes(StandardCharsets.UTF_8);
      TEXTS[code] = StringData.fromString(NAMES[code]);
    }
  }

  private Actions() {}

  static int code(byte[] action) {
    for (int code = 1; code < UTF8.length; code++) {
      if (Arrays.equals(UTF8[code], action)) {
        return code;
      }
    }
    return 0;
  }
}
