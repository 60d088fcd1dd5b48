package millrace.kernel.spec;

/** A spec that cannot be computed; the message names the part at fault. */
public final class SpecException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  public SpecException(String message) {
    super(message);
  }
}
