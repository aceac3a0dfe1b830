/** The channels, headers and operations of the bus, as data. `asyncapi.ts` makes a document of them. */

interface Channel {
  address: string;
  description: string;
  messages: readonly string[];
}

const INBOX = [
  "RunStarted",
  "StepCompleted",
  "StepFailed",
  "StepCancelled",
  "RetryLater",
  "StepStartedTwice",
  "TimerFired",
  "SlotTimedOut",
  "SlotAbandoned",
  "CancelRequested",
  "TerminateRequested",
  "SignalReceived",
  "UpdateRequested",
  "ChildEnded",
];

export const CHANNELS: Readonly<Record<string, Channel>> = {
  inbox: {
    address: "{namespace}.inbox.{partition}.{run}.{sender}",
    description:
      "Stream `<ns>_EVENTS`. What happened to a run, from outside. Clients start and cancel, workers report, each on the subject of its role: a message on the subject of another is a dead letter. Together these are the run's inbox, in the order of the stream: `<ns>.inbox.<p>.<run>.*`. One durable pull consumer per partition hands it to the coordinators.",
    messages: [...INBOX, "Ref"],
  },
  journal: {
    address: "{namespace}.journal.{partition}.{run}",
    description:
      "Stream `<ns>_EVENTS`. What the coordinator decided, one message for each decision. Only coordinators write, fenced by the subject's last sequence. Clients read it to follow a run: it ends with RunCompleted, RunFailed, RunCancelled or RunTerminated.",
    messages: ["Decision", "Ref"],
  },
  liveJournal: {
    address: "{namespace}.live.journal.{partition}.{run}",
    description:
      "Core NATS. Each journal message, republished by the server as it is stored, with the headers `Nats-Stream`, `Nats-Subject` and `Nats-Sequence`. May miss some: read the journal to be sure.",
    messages: ["Decision", "Ref"],
  },
  attempts: {
    address: "{namespace}.attempts.{partition}.{run}.{slot}",
    description:
      "Stream `<ns>_EVENTS`. Attempts that did not end well and details of heartbeats, written by workers, fenced by the subject's last sequence. Read when a command is delivered again.",
    messages: ["AttemptFailed", "AttemptHeartbeat", "Ref"],
  },
  parked: {
    address: "{namespace}.parked.{partition}.{run}",
    description:
      "Stream `<ns>_EVENTS`. Runs that no coordinator at hand can take further, and why. Taken up again at start, when a coordinator gains the partition, and every 30 s.",
    messages: ["RunParked", "Ref"],
  },
  command: {
    address: "{namespace}.command.{step}.{partition}.{run}.{slot}",
    description:
      "Stream `<ns>_COMMANDS`, a work queue. Work for the workers of a step, which share the durable pull consumer `step-<step>`. Deleted by its ack.",
    messages: ["RunStep", "Ref"],
  },
  timer: {
    address: "{namespace}.timer.{partition}.{run}.{slot}",
    description:
      "Stream `<ns>_TIMERS`. Message schedules: `Nats-Schedule: @at <time>`, `Nats-Schedule-Target: <the due subject>`. Between a coordinator and the server; no business of clients and workers, and no message of this protocol.",
    messages: [],
  },
  due: {
    address: "{namespace}.due.{partition}.{run}.{slot}",
    description:
      "Stream `<ns>_TIMERS`. Where the server publishes a schedule that has come due. A hint: the coordinator checks the slot, then says TimerFired.",
    messages: [],
  },
  dead: {
    address: "{namespace}.dead.{step}.{partition}.{run}.{slot}",
    description: "Stream `<ns>_DEAD`. What could not be handled, for people. `{step}` is `-` where none is known.",
    messages: ["DeadLetter", "Ref"],
  },
  cancel: {
    address: "{namespace}.cancel.{run}",
    description: "Core NATS. Asks workers to abort slots of a run. A hint: it is repeated until they have settled.",
    messages: ["CancelSlots"],
  },
  presence: {
    address: "{namespace}.presence",
    description: "Core NATS. Coordinators that are alive. For people and for sharing partitions.",
    messages: ["Presence"],
  },
  query: {
    address: "{namespace}.query.{partition}.{run}",
    description:
      "Core NATS, request and reply. Asks a run something; the coordinator that has the partition answers, from the run in memory or from a replay of its history.",
    messages: ["QueryRun", "QueryAnswer"],
  },
  guest: {
    address: "{namespace}.guest.{coordinator}",
    description:
      "Core NATS, among coordinators. Inbox messages of runs whose workflow the partition's coordinator does not know, handed to one that does; and the word that they are done with.",
    messages: ["GuestMessage", "GuestDone"],
  },
  guestQuery: {
    address: "{namespace}.guest-query.{coordinator}.{run}",
    description: "Core NATS, request and reply, among coordinators. The same for queries.",
    messages: ["QueryRun", "QueryAnswer"],
  },
  rollCall: {
    address: "{namespace}.roll-call",
    description: "Core NATS. Asks coordinators and workers to say that they are there. For people.",
    messages: ["RollCall"],
  },
  workers: {
    address: "{namespace}.workers",
    description: "Core NATS. What workers answer to a roll call. For people.",
    messages: ["WorkerPresence"],
  },
  breaker: {
    address: "{namespace}.breaker.{step}",
    description: "Core NATS. A worker's circuit breaker changed its state. For people.",
    messages: ["BreakerChanged"],
  },
};

interface Header {
  description: string;
  required: boolean;
  example: string;
  /** The only value it may have. */
  fixed?: string;
}

const fence = (description: string, example: string, fixed?: string): Record<string, Header> => ({
  "Nats-Expected-Last-Subject-Sequence": { description, required: true, example, ...(fixed ? { fixed } : {}) },
});
const id = (description: string, example: string, required = false): Record<string, Header> => ({
  "Nats-Msg-Id": { description: `${description} The same id within two minutes is stored once.`, required, example },
});
const outcome = (type: string): Record<string, Header> =>
  id(
    "Optional; use `<run>.<slot>.<after>.<attempt>.<type>`. A repeat changes nothing either way.",
    `order-1.1.7.1.${type}`,
  );

const told = (example: string): Record<string, Header> =>
  id("Optional; the message's `id`, if no other run is sent a message of that id: the server compares all.", example);

/** By the name of the message. */
export const HEADERS: Readonly<Record<string, Record<string, Header>>> = {
  RunStarted: {
    ...fence(
      'Always "0". Error 10071: the run exists; if its first message has your `id`, your start has been stored.',
      "0",
      "0",
    ),
    ...id("The message's `id`.", "3f0c6a52-7c0e-4b1f-9d55-0a4f1f0e8a11"),
  },
  CancelRequested: told("b1a9a7de-7bd4-4a49-a1f7-90f3f2a0a7c2"),
  StepCompleted: outcome("StepCompleted"),
  StepFailed: outcome("StepFailed"),
  StepCancelled: outcome("StepCancelled"),
  RetryLater: outcome("RetryLater"),
  StepStartedTwice: outcome("StepStartedTwice"),
  AttemptFailed: fence(
    "The sequence of the last message on this subject that you know of, 0 for none. Error 10071: another worker has this slot; do neither ack nor nak.",
    "0",
  ),
  AttemptHeartbeat: fence("The sequence of the last message on this subject that you know of, 0 for none.", "0"),
  Ref: {
    "Stepstream-Ref": {
      description: "The SHA-256 of the text, as in `key`. Besides, the headers that the message itself would have had.",
      required: true,
      example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
  },
  Decision: fence("The sequence of the run's last journal message, 0 for none.", "4690"),
  TerminateRequested: told("0b7b8a52-8f1d-4f5e-8d3e-2f9f8f6b7a10"),
  SignalReceived: told("6d0f1c3e-52a4-4a0b-9a77-f1b5d6f0a3c4"),
  UpdateRequested: told("d2b1a1de-90e0-4a51-9d6e-3a0c9e0f5b21"),
  RunStep: {
    ...fence('Always "0": one command of a slot is outstanding at a time.', "0", "0"),
    ...id("`<run>.<start of the run in epoch ms, base 36>.<slot>.<attempt>`", "order-1.mjuoiw08.1.1", true),
  },
};

interface Operation {
  by: "client" | "worker" | "coordinator";
  action: "send" | "receive";
  channel: keyof typeof CHANNELS & string;
  messages: readonly string[];
  summary: string;
  description: string;
}

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  clientStartsRun: {
    by: "client",
    action: "send",
    channel: "inbox",
    messages: ["RunStarted", "Ref"],
    summary: "Start a run.",
    description: "Rules C1 to C3.",
  },
  clientCancelsRun: {
    by: "client",
    action: "send",
    channel: "inbox",
    messages: ["CancelRequested"],
    summary: "Ask a run to stop.",
    description: "Rule C5.",
  },
  clientTerminatesRun: {
    by: "client",
    action: "send",
    channel: "inbox",
    messages: ["TerminateRequested"],
    summary: "End a run at once, without clean-up.",
    description: "Rule C6.",
  },
  clientSignalsRun: {
    by: "client",
    action: "send",
    channel: "inbox",
    messages: ["SignalReceived", "Ref"],
    summary: "Tell a run something.",
    description: "Rule C7.",
  },
  clientUpdatesRun: {
    by: "client",
    action: "send",
    channel: "inbox",
    messages: ["UpdateRequested", "Ref"],
    summary: "Change a run, and hear what came of it.",
    description: "Rule C8.",
  },
  clientAsksRun: {
    by: "client",
    action: "send",
    channel: "query",
    messages: ["QueryRun"],
    summary: "Ask a run something.",
    description: "Rule C9.",
  },
  clientHearsAnswer: {
    by: "client",
    action: "receive",
    channel: "query",
    messages: ["QueryAnswer"],
    summary: "Hear the answer.",
    description: "Rule C9.",
  },
  clientFollowsRun: {
    by: "client",
    action: "receive",
    channel: "journal",
    messages: ["Decision", "Ref"],
    summary: "Read what became of a run.",
    description: "Rule C4.",
  },
  clientWatchesRun: {
    by: "client",
    action: "receive",
    channel: "liveJournal",
    messages: ["Decision", "Ref"],
    summary: "Hear of a run's decisions as they are stored.",
    description: "Rule C4: a hint to read the journal.",
  },
  workerTakesCommand: {
    by: "worker",
    action: "receive",
    channel: "command",
    messages: ["RunStep", "Ref"],
    summary: "Take work.",
    description: "Rules W1 to W5.",
  },
  workerReportsOutcome: {
    by: "worker",
    action: "send",
    channel: "inbox",
    messages: ["StepCompleted", "StepFailed", "StepCancelled", "Ref"],
    summary: "Say how a slot ended, then ack its command.",
    description: "Rules W6, W8 and W10.",
  },
  workerPostponesAttempt: {
    by: "worker",
    action: "send",
    channel: "inbox",
    messages: ["RetryLater"],
    summary: "Have the next attempt come back after a long wait, then ack the command.",
    description: "Rule W9.",
  },
  workerReportsSecondStart: {
    by: "worker",
    action: "send",
    channel: "inbox",
    messages: ["StepStartedTwice"],
    summary: "Report that another worker has had the slot while the handler was at work.",
    description: "Rule W6.",
  },
  workerRecordsAttempt: {
    by: "worker",
    action: "send",
    channel: "attempts",
    messages: ["AttemptFailed", "AttemptHeartbeat", "Ref"],
    summary: "Keep a failed attempt, then nak the command with the wait before the next.",
    description: "Rule W7.",
  },
  workerReadsAttempts: {
    by: "worker",
    action: "receive",
    channel: "attempts",
    messages: ["AttemptFailed", "AttemptHeartbeat", "Ref"],
    summary: "Find out which attempt is next when a command is delivered again.",
    description: "Rule W4.",
  },
  workerHearsCancel: {
    by: "worker",
    action: "receive",
    channel: "cancel",
    messages: ["CancelSlots"],
    summary: "Abort attempts.",
    description: "Rule W10.",
  },
  workerReportsBreaker: {
    by: "worker",
    action: "send",
    channel: "breaker",
    messages: ["BreakerChanged"],
    summary: "Say that a circuit breaker changed its state.",
    description: "Optional. An open breaker stops pulling; it never acks, naks or reports.",
  },
  clientCallsTheRoll: {
    by: "client",
    action: "send",
    channel: "rollCall",
    messages: ["RollCall"],
    summary: "Ask who is there.",
    description: "For people, and for a client that wants to know which workflows are run just now.",
  },
  workerHearsRollCall: {
    by: "worker",
    action: "receive",
    channel: "rollCall",
    messages: ["RollCall"],
    summary: "Somebody wants to know who is there.",
    description: "Optional; answered by the next.",
  },
  workerAnswersRollCall: {
    by: "worker",
    action: "send",
    channel: "workers",
    messages: ["WorkerPresence"],
    summary: "Say that it is there, which steps it does, and how its circuit breakers are.",
    description: "Optional. `stepstream queue` counts the workers that answer.",
  },
  coordinatorHearsRollCall: {
    by: "coordinator",
    action: "receive",
    channel: "rollCall",
    messages: ["RollCall"],
    summary: "Somebody wants to know who is there.",
    description: "Answered with `Presence`, at once.",
  },
  workerBuriesCommand: {
    by: "worker",
    action: "send",
    channel: "dead",
    messages: ["DeadLetter", "Ref"],
    summary: "Keep a command that cannot be handled.",
    description: "Rules W5 and W11.",
  },
  coordinatorReadsInbox: {
    by: "coordinator",
    action: "receive",
    channel: "inbox",
    messages: [...INBOX, "Ref"],
    summary: "Fold what happened into the run.",
    description: "Through one durable pull consumer per partition. A message is acked when all it caused is stored.",
  },
  coordinatorTellsInbox: {
    by: "coordinator",
    action: "send",
    channel: "inbox",
    messages: ["TimerFired", "SlotTimedOut", "SlotAbandoned", "ChildEnded"],
    summary: "Say what time has done to a run, and how its children ended.",
    description: "Workers and clients never send these.",
  },
  coordinatorTellsChild: {
    by: "coordinator",
    action: "send",
    channel: "inbox",
    messages: ["RunStarted", "CancelRequested", "TerminateRequested"],
    summary: "Start a child, or ask it to stop.",
    description: "In the name of its parent, once that has decided so.",
  },
  coordinatorHearsQuery: {
    by: "coordinator",
    action: "receive",
    channel: "query",
    messages: ["QueryRun"],
    summary: "Be asked about a run.",
    description: "Of the partitions that it has.",
  },
  coordinatorAnswersQuery: {
    by: "coordinator",
    action: "send",
    channel: "query",
    messages: ["QueryAnswer"],
    summary: "Answer, and write nothing.",
    description: "No answer where the workflow is known to nobody at hand.",
  },
  coordinatorHandsOn: {
    by: "coordinator",
    action: "send",
    channel: "guest",
    messages: ["GuestMessage", "GuestDone"],
    summary: "Have a message handled where its run's workflow is known, and say that it was.",
    description: "Said again every second until it is done with; the message stays unacknowledged meanwhile.",
  },
  coordinatorTakesGuest: {
    by: "coordinator",
    action: "receive",
    channel: "guest",
    messages: ["GuestMessage", "GuestDone"],
    summary: "Handle such a message.",
    description: "The run is read before it is folded: nothing is known of what came before.",
  },
  coordinatorAsksGuest: {
    by: "coordinator",
    action: "send",
    channel: "guestQuery",
    messages: ["QueryRun", "QueryAnswer"],
    summary: "Pass a query on.",
    description: "And its answer back.",
  },
  coordinatorDecides: {
    by: "coordinator",
    action: "send",
    channel: "journal",
    messages: ["Decision", "Ref"],
    summary: "Write what the run decided; the fence makes one coordinator its writer.",
    description: "Its effects (commands, timers) are published after it is stored, never before.",
  },
  coordinatorSendsCommand: {
    by: "coordinator",
    action: "send",
    channel: "command",
    messages: ["RunStep", "Ref"],
    summary: "Give work to the workers of a step.",
    description: "Published again after a takeover if neither the command nor an outcome is stored.",
  },
  coordinatorCancelsSlots: {
    by: "coordinator",
    action: "send",
    channel: "cancel",
    messages: ["CancelSlots"],
    summary: "Ask workers to abort slots.",
    description: "Once a second until all have settled or their grace is over (then SlotAbandoned).",
  },
  coordinatorParksRun: {
    by: "coordinator",
    action: "send",
    channel: "parked",
    messages: ["RunParked", "Ref"],
    summary: "Put a run aside that it cannot handle.",
    description: "The message that led to it is acked, so that the partition goes on.",
  },
  coordinatorReadsParked: {
    by: "coordinator",
    action: "receive",
    channel: "parked",
    messages: ["RunParked", "Ref"],
    summary: "Take parked runs up again.",
    description: "At start, when it gains a partition, and every 30 s.",
  },
  coordinatorBuriesMessage: {
    by: "coordinator",
    action: "send",
    channel: "dead",
    messages: ["DeadLetter", "Ref"],
    summary: "Keep a message that cannot be read.",
    description: "The message is acked and blocks nothing.",
  },
  coordinatorIsPresent: {
    by: "coordinator",
    action: "send",
    channel: "presence",
    messages: ["Presence"],
    summary: "Say that it is alive.",
    description: "Once a second.",
  },
};
