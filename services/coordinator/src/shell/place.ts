/** Where a message is stored, for errors and warnings. */
export function place(stored: { subject: string; seq: number }): string {
  return `${stored.subject} (sequence ${stored.seq})`;
}
