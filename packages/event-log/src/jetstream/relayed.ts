/**
 * Recognizes messages that nats-server has published for a process that may not publish them itself.
 *
 * Permissions bind the subject that a user publishes to, not the subject for the reply. So any user that may ask for a stored
 * message (`$JS.API.DIRECT.GET`) can name any subject for the answer, and the server publishes there what is stored: in a journal,
 * an inbox, the subject of a broadcast. With a message that it may store, a client could so write whatever it wants wherever it wants.
 *
 * X1. What the server sends as an answer has `Nats-Subject` and `Nats-Sequence` among its headers, behind those of the message, and
 *     no process of ours publishes these. A message with them is treated as one that cannot be read: a text that no decoder accepts.
 * X2. What the server adds to a message when we ask for it, or when it republishes a journal, is told apart by its count.
 *
 * X3. What a process of ours answers goes nowhere but to a subject for replies: not to a subject of the namespace, nor to an API of
 *     the server, where it would be stored, or taken for a request, with this process's permissions.
 *
 * Answers of the API in JSON need no such care: no decoder of ours accepts one.
 *
 * Checked elsewhere:
 *   X1 X2  test/conformance/relayed.test.ts: is not read as a message
 *   X3  test/conformance/relayed.test.ts: is not sent to a subject of the namespace or of the server
 */
const MARK = "\r\nNats-Sequence:";

/** Whether it was published by the server as an answer. @param block - As stored, or as published: without what was added for us. */
export function isRelayed(block: string): boolean {
  return block.includes(MARK);
}

/** The same of a block to which the server has added its own. */
export function wasRelayed(block: string): boolean {
  const first = block.indexOf(MARK);
  return first >= 0 && block.indexOf(MARK, first + 1) >= 0;
}

/** What is read in its place: the same in whatever way it is read. */
export const RELAYED = '{"v":1,"type":"Relayed","why":"nats-server published it as an answer to a request"}';

/** May an answer go there? The inbox of whoever asked may have any prefix but these. */
export function isForReplies(subject: string | undefined, namespace: string): boolean {
  return subject !== undefined && !subject.startsWith("$") && !subject.startsWith(`${namespace}.`);
}
