/** What was asked for makes no sense, or a file that it needs is not there: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
