/**
 * The time, in epoch milliseconds. As it was before the SDK's guard, which answers workflow code from its run, and asks at
 * each call whether it is workflow code that calls.
 */
export const epochMs: () => number = Date.now;
