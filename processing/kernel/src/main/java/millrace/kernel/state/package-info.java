/** What the process table functions share: how a key's state is kept, written and hashed. */
package millrace.kernel.state;
