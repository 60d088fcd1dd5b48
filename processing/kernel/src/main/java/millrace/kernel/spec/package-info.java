/** What the process table functions share: how the JSON of their specs is read and refused. */
package millrace.kernel.spec;
