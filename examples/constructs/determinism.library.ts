/** What some library does on its own, where no lint rule for workflow code looks. See determinism.ts. */

export async function debounce(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
