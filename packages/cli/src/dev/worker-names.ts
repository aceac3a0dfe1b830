/** "worker", or "worker-1", "worker-2", … */
export function workerNames(workers: number): string[] {
  return workers === 1 ? ["worker"] : Array.from({ length: workers }, (_, i) => `worker-${i + 1}`);
}
