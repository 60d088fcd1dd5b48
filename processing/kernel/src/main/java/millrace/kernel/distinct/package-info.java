/** Aggregate functions that take each text once, whose state is one value a group. */
package millrace.kernel.distinct;
