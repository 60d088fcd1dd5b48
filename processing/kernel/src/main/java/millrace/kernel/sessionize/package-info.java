/**
 * The process table function {@code sessionize}; domain/shop/sessions.py specifies what it
 * computes.
 */
package millrace.kernel.sessionize;
