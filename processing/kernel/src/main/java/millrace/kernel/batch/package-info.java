/**
 * The kernel without Flink: a process that is fed rows in chunks of columns and answers with the
 * features of those that are emitted. For training frames; the job computes the same bits.
 */
package millrace.kernel.batch;
