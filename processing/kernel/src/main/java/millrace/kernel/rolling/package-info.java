/**
 * The process table function {@code rolling}; docs/rolling.md says what it computes, bit by bit.
 */
package millrace.kernel.rolling;
