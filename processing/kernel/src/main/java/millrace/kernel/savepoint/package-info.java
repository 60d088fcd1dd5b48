/** What a savepoint says of the job that made it. */
package millrace.kernel.savepoint;
