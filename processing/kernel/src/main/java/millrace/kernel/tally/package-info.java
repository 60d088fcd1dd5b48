/**
 * {@code tally}: each event of a visitor's hour, once, as what it adds to the figures of each
 * window that it lies in; and {@code top_items}, the best sellers of a window.
 */
package millrace.kernel.tally;
