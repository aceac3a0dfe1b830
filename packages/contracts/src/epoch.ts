/**
 * The time, in epoch milliseconds. As it was before the SDK's guard, which answers workflow code from its run, and asks at
 * each call whether it is workflow code that calls.
 */
export const epochMs: () => number = Date.now;

const { timeOrigin } = performance;
const sinceOrigin = performance.now.bind(performance);

/**
 * The time when this process began, in epoch milliseconds, plus what has passed since. Unlike {@link epochMs} it never jumps:
 * setting the machine's clock does not change it. Time in which the machine is suspended is not counted.
 */
export const steadyMs: () => number = () => Math.floor(timeOrigin + sinceOrigin());
