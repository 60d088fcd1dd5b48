/**
 * {@code tally}: each event of a visitor's hour, once, as what it adds to the figures of each
 * window that it lies in; and {@code window_sums}, which adds that up.
 */
package millrace.kernel.tally;
