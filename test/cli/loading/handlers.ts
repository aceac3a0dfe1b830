/** What it exports never comes to its end. For loading.test.ts. */
export function handlers(): void {
  for (;;);
}
