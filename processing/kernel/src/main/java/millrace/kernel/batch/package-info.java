/**
 * Run the kernel without Flink, for training frames: a process that reads rows in chunks of columns
 * and answers with the features of those that are emitted. The job computes the same bits.
 */
package millrace.kernel.batch;
