/** What the process table functions share as functions of Flink: arguments, types, state. */
package millrace.kernel.function;
