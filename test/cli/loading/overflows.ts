/** Catches its own stack overflow when it is loaded. For loading.test.ts. */
function again(): void {
  try {
    again();
  } catch {
    again();
  }
}

again();

export {};
