/** Never comes to its end when it is loaded. For loading.test.ts. */
const began = Date.now();

while (began > 0) {
  // On and on.
}

export {};
