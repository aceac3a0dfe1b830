/** The rules that a worker or client must follow: what schemas cannot say. Markdown, shown at the top of the document. */
export const RULES = `\
Stepstream runs multi-step jobs over NATS JetStream. This document is enough to write a worker or a client in another
language; \`test/e2e/foreign/worker.py\` in the repository is one in Python, from the standard library alone.

**must** and **should** are meant as in RFC 2119. \`<ns>\` is the namespace.

## The bus

| stream | holds | subjects |
|---|---|---|
| \`<ns>_EVENTS\` | inbox, journal, attempts, parked | \`<ns>.inbox.>\` \`<ns>.journal.>\` \`<ns>.attempts.>\` \`<ns>.parked.>\` |
| \`<ns>_COMMANDS\` | a work queue; one message per subject | \`<ns>.command.>\` |
| \`<ns>_DEAD\` | dead letters | \`<ns>.dead.>\` |
| \`<ns>_BLOBS\` | the chunks of large messages; one message per subject | \`<ns>.blob.<run>.<sha256>.<chunk, from 1>\` |
| \`<ns>_TIMERS\` | the coordinators' timers; nobody else's business | \`<ns>.timer.>\` \`<ns>.due.>\` |

Stepstream makes the streams; clients and workers of other languages **must not**.

- **B1.** A message is a JSON object with \`v: 1\` and a \`type\`. Drop keys you do not know. Refuse another \`v\`.
- **B2.** A message counts as stored when JetStream has acknowledged it (\`{"stream":…,"seq":…}\`). On a time-out
  publish the same message again, with the same headers.
- **B3.** \`partition\` = 32-bit FNV-1a over the characters of the run id (all ASCII), modulo the partition count:
  \`h = 2166136261; for each byte b: h = ((h xor b) * 16777619) mod 2^32\`. The count is in the metadata of stream
  \`<ns>_EVENTS\` under \`stepstream.partitions\`. Check: \`order-1\` among 8 is 5. A worker need not compute it: it is
  a token of the command's subject.
- **B4.** Any stored message of over 256 KiB may be a \`Ref\`:
  \`{"v":1,"type":"Ref","key":"<run>/<sha256>","bytes":…,"chunk":…}\` with the header \`Stepstream-Ref: <sha256>\`.
  Whoever reads one **must** fetch the last message of each subject \`<ns>.blob.<run>.<sha256>.<n>\`,
  n = 1 … ⌈bytes / chunk⌉, join their bytes and go on as if that text had been the message. Whoever sends a large message
  **should** do so, and **must** if it exceeds the server's \`max_payload\`: first the chunks (512 KiB each; error 10077
  means that one is there already), then the \`Ref\`, with the headers that the message would have had and this one.

- **B5. Values** (\`input\`, \`output\`, \`payload\`, \`value\`, \`details\`, and \`data.data\` of a declared error) are any JSON, of at
  most 500 levels and 100,000 keys in one object. What JSON has no form for is an object with a \`$type\`:
  \`{"$type":"Date","value":"2026-11-26T00:00:00.000Z"}\`; \`BigInt\` (its digits), \`Map\` (a list of pairs), \`Set\` (a list),
  \`Bytes\` (base64), \`Number\` ("NaN", "Infinity", "-Infinity", "-0"), \`Undefined\` (no \`value\`), \`Error\` (a Failure).
  An object that itself has a key \`$type\` is \`{"$type":"Object","value":<the object>}\`. Any other \`$type\` is a key like
  others. A worker **must** know the kinds that its steps are sent, and **should** refuse a tag whose value does not fit it.
- **B6. Inbox.** What a worker appends to the inbox of a run goes to \`<ns>.inbox.<p>.<run>.worker\`, what a client appends to
  \`<ns>.inbox.<p>.<run>.client\`, so that permissions of NATS can tell them apart. A run's inbox is
  all of \`<ns>.inbox.<p>.<run>.*\`, by stream sequence; read it subject by subject, since a wildcard costs the server much. A message on a subject that is not its sender's is a dead letter.
- **B7. Answers of the server.** Publish no message with a header \`Nats-Sequence\`. One that has it, beside those that the server adds
  when you ask for the message, is an answer of nats-server that another process has directed there: it cannot be read. Reply to no
  subject of the namespace, and to none that begins with \`$\`.

## A worker

It handles one or more steps. Many workers may handle the same step; they share its consumer.

- **W1. Consumer.** On stream \`<ns>_COMMANDS\` make, if it is not there, the durable pull consumer \`step-<step>\`:
  \`filter_subject: <ns>.command.<step>.>\`, \`ack_policy: explicit\`, \`deliver_policy: all\`, \`max_deliver: -1\`,
  \`max_ack_pending\` high (100000), \`ack_wait\` = the step's heartbeat time-out (10 s where it has none). If it is
  there with another configuration, use it as it is: a changed \`ack_wait\` counts at once for all that other workers hold.
  Its metadata \`stepstream.ack_wait_ms\` is the \`ack_wait\` that it will have. To change it, write that; then, at least
  10 s and one old \`ack_wait\` later, and while \`num_ack_pending\` is 0, \`ack_wait\` itself.
- **W2. Pull** no more commands than you can start at once. What waits in a buffer expires and is given to another.
- **W3. Stay alive.** While an attempt runs, send \`+WPI\` to the command's reply subject more often than \`ack_wait\`
  (every third of it): the shorter of the consumer's own and the one in its metadata, read again every 5 s while you
  hold commands. Send one at once for a command that was delivered before, or stored longer than a third of \`ack_wait\`
  ago: a server that starts, or becomes leader, counts from when it was stored. If the command has \`heartbeatMs\`, only as long as the handler has shown progress within that time.
- **W4. Redelivery.** The delivery count (token 5 of an ack subject \`$JS.ACK.…\` of 9 tokens, token 7 of a longer one)
  is no attempt number. If it is above 1 or the command has \`republished\`, before running anything do what follows. Do it
  as well in the first 10 s of a connection for commands stored before it: a single server that is killed forgets its
  last deliveries.
  1. Read the run's inbox, of workers and of coordinators (B6), from stream sequence \`after + 1\` on, from the stream's leader (\`$JS.API.STREAM.MSG.GET\`
     with \`next_by_subj\`, not a direct get). If it holds StepCompleted, StepFailed, StepCancelled, SlotTimedOut or
     SlotAbandoned of this slot, or a RetryLater of it whose \`attempt\` is above the command's: ack the command and do
     nothing else.
  2. Read \`attempts\`. The attempt that comes next is the greater of the command's \`attempt\` and 1 + the highest
     \`attempt\` of the AttemptFailed there. Keep the sequence of its last message for W7. If its last message is an
     AttemptFailed of the command's \`attempt\` or above without \`delayMs\`, that attempt was the last: report StepFailed
     with its \`error\` (W8) and run nothing. The \`details\` of the last record are what the previous attempt knew.
- **W5. Check** the command. If it cannot be read: a DeadLetter with code MALFORMED_MESSAGE, then ack.
  If \`timeout.queueMs\` (first delivery only) or \`timeout.totalMs\` since \`scheduledAt\` is over, by the server's clock
  (token 8 of the ack subject is when it stored the command; \`ts\` in the answers of its API is its time): report StepFailed
  with an error that says so. If the input is not valid for the step: StepFailed with code INVALID_INPUT.
- **W6. Success.** If another worker may have had the command meanwhile, read the inbox as in W4 first: if the slot has an
  outcome, append StepStartedTwice instead, and ack. Append StepCompleted (slot, step and attempt of the command; \`output\` is any JSON) to the run's
  inbox. When it is stored, and not before, ack the command (\`+ACK\`; beware, an empty
  answer is an ack as well).
- **W7. Failure, attempts left.** An attempt fails if the handler fails or \`timeout.attemptMs\` is over.
  If attempt < \`retry.maxAttempts\` and the error is worth it: append AttemptFailed to \`attempts\` with the header
  \`Nats-Expected-Last-Subject-Sequence\`. If it is refused with error 10071, another worker has the slot: neither ack
  nor nak. If it is stored: \`-NAK {"delay": <nanoseconds>}\`. The wait before attempt n + 1 is drawn from
  ceiling = min(\`maxMs\`, \`initialMs\` × \`factor\`^(n-1)): \`full\` evenly from [0, ceiling), \`equal\` from
  [ceiling/2, ceiling), \`none\` the ceiling. A wait that would outlast
  \`timeout.totalMs\` makes this failure the last.
- **W8. Failure, the last.** Append StepFailed to the inbox and, when it is stored, ack. A worker may
  first keep it in \`attempts\`, as in W7 but without \`delayMs\`. A declared error of the step is
  \`{"name":"DeclaredError","code":<its code>,"message":…,"data":{"data":<what it carries>}}\` and never retried.
  Other errors: your language's class as \`name\`, \`ERROR\` or a code of your own, the stack, the cause.
- **W9. Long waits** (a minute or more) **should** not sit in the queue: after W7's AttemptFailed append RetryLater with
  the next attempt's number and \`delayMs\` to the inbox, then ack instead of nak. The command comes back.
- **W10. Cancel.** Subscribe to \`<ns>.cancel.*\`. For each slot named that you hold: abort, clean up, append StepCancelled
  to the inbox, ack. If the attempt ends first, report how it ended. A command named before you start it: the same, at once.
  A worker that ignores cancels is waited for through the grace period, then left behind (SlotAbandoned).
- **W11. A command that ends its worker's process** **should** be found and given up. Each record says with \`explained\` up to
  which delivery all are accounted for: AttemptFailed, and AttemptHeartbeat with \`handedBack\` or \`stopping\` (the worker was
  told to stop, written when that happens), up to their own; other heartbeats repeat the value of the record before. If
  more than 2 deliveries since then left no record, or the last record has \`alone\`, run the attempt as the only one in
  its process. Before it starts, append AttemptHeartbeat with \`alone\`: 1 more than in the last record. Repeat it in later
  heartbeats; once others join, or the worker is told to stop, go back to the number of before (none for 0). If the
  last record has \`alone\` of 3 or more: write a DeadLetter with code WORKER_LOST, report StepFailed with that code, ack.
- **W12. Side effects.** Steps run at least once. Pass \`idempotencyKey\` on to whatever you call: it is the same for
  every attempt.
- **W13. Trace.** If the command has \`trace\`, make the attempt's span a child of it (W3C trace context). If it has
  \`baggage\`, make that the baggage of what the attempt calls (W3C baggage).

## A client

- **C1. Start:** append RunStarted to the inbox of a run id of your choice, with \`Nats-Expected-Last-Subject-Sequence: 0\`:
  it is the first message on the client's subject. The run id is the idempotency key: one run is ever started with it.
- **C2.** Give the message an \`id\` of its own, and the same when you repeat it.
- **C3.** Error 10071: the run exists. Read the first message of the client's subject: your \`id\` means your start has been stored.
- **C4. Result:** read the journal until a Decision holds RunCompleted (\`output\`), RunFailed (\`error\`), RunCancelled
  or RunTerminated (\`reason\`). These are the last events of a run. Subscribe to the live journal to learn when to read again, and read
  every few seconds besides: live messages may be lost.
- **C5. Cancel:** append CancelRequested with an \`id\`. If the journal ends without CancelAccepted of that id, the run
  had closed before it took effect.
- **C6. Terminate:** append TerminateRequested with an \`id\`; the run ends with RunTerminated. No workflow code is needed.
  These requests, signals and updates **should** say in \`after\` the sequence of the last message that you read of the inbox:
  then they do not reach a run that was started later under the same id.
- **C7. Signal:** append SignalReceived with an \`id\`. The journal says SignalAccepted or SignalRefused of that id; if it
  ends without, the run had closed. The same id again is the same signal. A signal nobody waits for is kept.
- **C8. Update:** append UpdateRequested with an \`id\`. The journal says UpdateRefused, or UpdateAccepted and later
  UpdateCompleted (\`output\`) or UpdateFailed (\`error\`), or UpdateRefused if the run ended or continued as new meanwhile;
  if it ends without, the run had closed.
- **C9. Query:** send QueryRun as a request to the query subject of the run. Nobody there, or no answer: ask again, since a
  coordinator may be taking over. It works after the end of a run too.
- **C10. Long lives:** a Decision with \`segment\` belongs to a run that has gone on as new: RunContinued is no end. What
  is before the segment need not be read to know what the run does now.
`;
