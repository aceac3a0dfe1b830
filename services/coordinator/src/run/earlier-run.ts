/**
 * Is this a message to a run that had the id before? Its call was given up, or its answer was late, and the run was
 * deleted and the id started again while the request was on its way.
 *
 * @param startedBy - The inbox sequence of the message that started the run; 0 after a `continueAsNew`, since a replay
 *   that begins there does not read it.
 */
export function isForEarlierRun({ after }: { after?: number | undefined }, startedBy: number): boolean {
  return after !== undefined && after < startedBy;
}
