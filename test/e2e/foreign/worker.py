"""A Stepstream worker and client in another language, written from docs/asyncapi.yaml alone.

    python3 worker.py <nats url> <namespace> work                              handles the step "greet"
    python3 worker.py <nats url> <namespace> start <run> <workflow> <input>    starts a run, prints its end
    python3 worker.py <nats url> <namespace> signal <run> <name> <payload>     tells a run something
    python3 worker.py <nats url> <namespace> update <run> <name> <input>       changes a run, prints its answer
    python3 worker.py <nats url> <namespace> query <run> <name> <input>        asks a run something, prints its answer
    python3 worker.py <nats url> <namespace> cancel | terminate <run>          has a run end

The rules in the comments (W1, C1, …) are those of the document.
"""

import base64, hashlib, json, queue, random, sys, threading, time, traceback, uuid
from datetime import datetime, timedelta, timezone

from nats import Nats, Refused


class Declared(Exception):
    """An error that the step's definition declares: final, never retried."""

    def __init__(self, code, data):
        super().__init__(f"The step ended with its declared error {code}.")
        self.code, self.data = code, data


class Worker:
    def __init__(self, nats, namespace, step, handler, heartbeat_s=10.0):
        self.nats, self.ns, self.step, self.handler = nats, namespace, step, handler
        self.heartbeat_s = heartbeat_s
        self.cancelled = {}  # (run, slot) -> Event
        nats.subscribe(f"{namespace}.cancel.*", self.on_cancel)

    def run(self):
        stream, durable = f"{self.ns}_COMMANDS", f"step-{self.step}"
        self.ensure_consumer(stream, durable)
        messages = queue.Queue()
        inbox = f"_INBOX.{uuid.uuid4().hex}"
        self.nats.subscribe(inbox, messages.put)
        while True:  # W2: one at a time
            pull = {"batch": 1, "expires": 2_000_000_000}
            self.nats.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", json.dumps(pull).encode(), None, inbox)
            try:
                message = messages.get(timeout=3)
            except queue.Empty:
                continue
            if not message.status:
                self.handle(message)

    def ensure_consumer(self, stream, durable):  # W1
        try:
            found = self.nats.api(f"CONSUMER.INFO.{stream}.{durable}")
        except Refused:
            filter_subject = f"{self.ns}.command.{self.step}.>"
            config = {
                "durable_name": durable,
                "filter_subject": filter_subject,
                "ack_policy": "explicit",
                "deliver_policy": "all",
                "ack_wait": int(self.heartbeat_s * 1e9),
                "max_deliver": -1,
                "max_ack_pending": 100_000,
            }
            create = f"CONSUMER.CREATE.{stream}.{durable}.{filter_subject}"
            found = self.nats.api(create, {"stream_name": stream, "config": config})
        self.heartbeat_s = found["config"]["ack_wait"] / 1e9

    def on_cancel(self, message):  # W10
        order = json.loads(message.data)
        for slot in order["slots"]:
            self.cancelled.setdefault((order["run"], slot), threading.Event()).set()

    def handle(self, message):
        """From a command to its acknowledgement."""
        settled = threading.Event()
        threading.Thread(target=self.keep_alive, args=(message.reply, settled), daemon=True).start()
        try:
            answer = self.settle(message)
        except Refused:
            answer = None  # W7: another worker has the slot
        finally:
            settled.set()
        if answer:
            self.nats.publish(message.reply, answer.encode())

    def keep_alive(self, reply, settled):  # W3
        while not settled.wait(self.heartbeat_s / 3):
            self.nats.publish(reply, b"+WPI")

    def settle(self, message):
        """Runs the attempt and stores what came of it. Returns the acknowledgement."""
        partition, run, slot = message.subject.split(".")[3:6]
        command = read_message(self.nats, self.ns, message.data)
        inbox, attempts = f"{self.ns}.inbox.{partition}.{run}", f"{self.ns}.attempts.{partition}.{run}.{slot}"  # B6
        attempt, last, final = command["attempt"], 0, None
        tokens = message.reply.split(".")
        redelivered = int(tokens[4] if len(tokens) == 9 else tokens[6]) > 1
        if redelivered or command.get("republished"):  # W4
            if any(self.has_outcome(f"{inbox}.{sender}", command) for sender in ("worker", "coordinator")):
                return "+ACK"
            for last, data in self.nats.read(f"{self.ns}_EVENTS", attempts):
                record = read_message(self.nats, self.ns, data)
                if record["type"] == "AttemptFailed":
                    attempt = max(attempt, record["attempt"] + 1)
                    final = record if "delayMs" not in record and record["attempt"] >= command["attempt"] else None

        head = {"v": 1, "slot": command["slot"], "step": self.step, "attempt": attempt}

        def report(type, **fields):
            headers = {"Nats-Msg-Id": f"{run}.{slot}.{command['after']}.{head['attempt']}.{type}"}
            append_message(self.nats, self.ns, run, f"{inbox}.worker", {**head, "type": type, **fields}, headers)
            return "+ACK"

        if final:
            head["attempt"] = final["attempt"]
            return report("StepFailed", error=final["error"])
        cancelled = self.cancelled.setdefault((run, command["slot"]), threading.Event())
        try:
            if cancelled.is_set():
                return report("StepCancelled")
            for clock in ("totalMs",) if redelivered else ("totalMs", "queueMs"):  # W5
                limit_ms = command["timeout"].get(clock)
                if limit_ms and time.time() * 1000 > command["scheduledAt"] + limit_ms:
                    return report("StepFailed", error=failure(TimeoutError(f"{clock} ({limit_ms}) is over")))
            try:
                output = encode(self.attempt(command, attempt, cancelled))
            except Exception as error:
                if cancelled.is_set():
                    return report("StepCancelled")
                if isinstance(error, Declared) or attempt >= command["retry"]["maxAttempts"]:
                    return report("StepFailed", error=failure(error))  # W8
                delay_ms = backoff_ms(attempt, command["retry"])
                total_ms = command["timeout"].get("totalMs")
                if total_ms and time.time() * 1000 + delay_ms > command["scheduledAt"] + total_ms:
                    return report("StepFailed", error=failure(error))
                record = {**head, "type": "AttemptFailed", "error": failure(error), "delayMs": delay_ms}
                fence = {"Nats-Expected-Last-Subject-Sequence": last}
                append_message(self.nats, self.ns, run, attempts, record, fence)
                return "-NAK " + json.dumps({"delay": int(delay_ms * 1e6)})  # W7
            return report("StepCompleted", output=output)  # W6
        finally:
            self.cancelled.pop((run, command["slot"]), None)

    def has_outcome(self, inbox, command):
        for _seq, data in self.nats.read(f"{self.ns}_EVENTS", inbox, command["after"] + 1):
            told = read_message(self.nats, self.ns, data)
            if told.get("slot") != command["slot"]:
                continue
            if told["type"] in ("StepCompleted", "StepFailed", "StepCancelled", "SlotTimedOut", "SlotAbandoned"):
                return True
            if told["type"] == "RetryLater" and told["attempt"] > command["attempt"]:
                return True
        return False

    def attempt(self, command, attempt, cancelled):
        """The handler, with the attempt's time-out."""
        outcome = queue.Queue()
        context = {"attempt": attempt, "idempotency_key": command["idempotencyKey"], "cancelled": cancelled}

        def call():
            try:
                outcome.put((self.handler(decode(command.get("input")), context), None))
            except Exception as error:
                outcome.put((None, error))

        threading.Thread(target=call, daemon=True).start()
        attempt_ms = command["timeout"].get("attemptMs")
        try:
            output, error = outcome.get(timeout=attempt_ms / 1000 if attempt_ms else None)
        except queue.Empty:
            raise TimeoutError(f"the attempt took longer than {attempt_ms} ms") from None
        if error:
            raise error
        return output


def failure(error):
    if isinstance(error, Declared):
        return {"name": "DeclaredError", "code": error.code, "message": str(error), "data": {"data": error.data}}
    stack = "".join(traceback.format_exception(error))
    told = {"name": type(error).__name__, "code": "ERROR", "message": str(error), "stack": stack}
    return {**told, "cause": failure(error.__cause__)} if error.__cause__ else told


def backoff_ms(failed, retry):
    ceiling = min(retry["maxMs"], retry["initialMs"] * retry["factor"] ** (failed - 1))
    share = {"full": random.random(), "equal": 0.5 + random.random() / 2, "none": 1}[retry["jitter"]]
    return int(ceiling * share)


ENDS = ("RunCompleted", "RunFailed", "RunCancelled", "RunTerminated")


class Run:
    """A run, from outside: what a client does (C1 to C10). Answers are messages and events as they are on the bus."""

    def __init__(self, nats, namespace, run):
        self.nats, self.ns, self.run, self.events = nats, namespace, run, f"{namespace}_EVENTS"
        metadata = nats.api(f"STREAM.INFO.{self.events}")["config"]["metadata"]
        self.partition = fnv1a(run) % int(metadata["stepstream.partitions"])  # B3

    def subject(self, kind):
        return f"{self.ns}.{kind}.{self.partition}.{self.run}"

    def inbox(self):
        return f"{self.subject('inbox')}.client"  # B6

    def start(self, workflow, data):
        """Starts it, or joins the one of that id, and returns its last event."""
        message = {"v": 1, "type": "RunStarted", "id": str(uuid.uuid4()), "workflow": workflow, "version": 1}
        headers = {"Nats-Expected-Last-Subject-Sequence": 0, "Nats-Msg-Id": message["id"]}
        try:  # C1 to C3
            append_message(self.nats, self.ns, self.run, self.inbox(), {**message, "input": data}, headers)
        except Refused as refused:
            if refused.code != 10071:
                raise
            print(f"run {self.run} exists already", file=sys.stderr)
        return self.follow(1, lambda event: event["type"] in ENDS)  # C4

    def tell(self, type, answers, **fields):
        """Tells it something and returns the event that answers, or the end if it had closed (C5 to C8)."""
        if self.nats.get(self.events, last_by_subj=self.inbox()) is None:
            raise LookupError(f"there is no run {self.run}")  # this must not be the first message of its inbox
        before = self.nats.get(self.events, last_by_subj=self.subject("journal"))
        message = {"v": 1, "type": type, "id": str(uuid.uuid4()), **fields}
        headers = {"Nats-Msg-Id": message["id"]}
        append_message(self.nats, self.ns, self.run, self.inbox(), message, headers)

        def answered(event):
            return event["type"] in ENDS or event["type"] in answers and event["id"] == message["id"]

        # The message was new, so its answer is too; but a run that was over says nothing more: its end is the last.
        return self.follow(before[0] if before else 1, answered)

    def query(self, name, data):
        """Asks it something and returns the QueryAnswer (C9)."""
        message = {"v": 1, "type": "QueryRun", "name": name, "input": data}
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                answer = self.nats.request(self.subject("query"), json.dumps(message).encode())
            except queue.Empty:
                continue
            if answer.status != "503":
                return json.loads(answer.data)
            time.sleep(0.1)  # no coordinator has it at present
        raise TimeoutError(f"nobody answered the query {name} of run {self.run}")

    def follow(self, seq, wanted):
        """The first event of the journal that is wanted, in messages from a sequence on. RunContinued is no end (C10)."""
        stored = threading.Event()
        self.nats.subscribe(self.subject("live.journal"), lambda _: stored.set())
        while True:
            for at, data in self.nats.read(self.events, self.subject("journal"), seq):
                seq = at + 1
                for event in read_message(self.nats, self.ns, data)["events"]:
                    if wanted(event):
                        return event
            stored.wait(2)
            stored.clear()


def append_message(nats, namespace, run, subject, message, headers):
    """Stores a message; a large one as a reference to its chunks (B4)."""
    data = json.dumps(message).encode()
    if len(data) > 256 * 1024:
        sha, chunk = hashlib.sha256(data).hexdigest(), 512 * 1024
        for n, at in enumerate(range(0, len(data), chunk), start=1):
            try:
                nats.append(f"{namespace}.blob.{run}.{sha}.{n}", data[at : at + chunk])
            except Refused as refused:
                if refused.code != 10077:  # the chunk is there already
                    raise
        ref = {"v": 1, "type": "Ref", "key": f"{run}/{sha}", "bytes": len(data), "chunk": chunk}
        data, headers = json.dumps(ref, separators=(",", ":")).encode(), {**headers, "Stepstream-Ref": sha}
    return nats.append(subject, data, headers)


def read_message(nats, namespace, data):
    """The message, or what it refers to (B4)."""
    message = json.loads(data)
    if message["type"] != "Ref":
        return message
    run, sha = message["key"].split("/")
    count = -(-message["bytes"] // message["chunk"])
    subjects = (f"{namespace}.blob.{run}.{sha}.{n + 1}" for n in range(count))
    return json.loads(b"".join(nats.get(f"{namespace}_BLOBS", last_by_subj=subject)[1] for subject in subjects))


def decode(value):  # B5: the kinds that the steps of this worker use
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, inner = value.get("$type"), value.get("value")
    if kind == "Date":
        return datetime.fromisoformat(inner.replace("Z", "+00:00"))
    if kind == "BigInt":
        return int(inner)
    if kind == "Bytes":
        return base64.b64decode(inner)
    if kind == "Object":
        value = inner
    return {key: decode(item) for key, item in value.items()}


def encode(value):  # B5
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, datetime):
        return {"$type": "Date", "value": value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")}
    if isinstance(value, bytes):
        return {"$type": "Bytes", "value": base64.b64encode(value).decode()}
    if isinstance(value, int) and abs(value) > 2**53:
        return {"$type": "BigInt", "value": str(value)}
    if not isinstance(value, dict):
        return value
    fields = {key: encode(item) for key, item in value.items()}
    return {"$type": "Object", "value": fields} if "$type" in value else fields


def fnv1a(text):
    hash = 2166136261
    for byte in text.encode():
        hash = ((hash ^ byte) * 16777619) % 2**32
    return hash


def greet(data, context):
    """What a test asks of it is in the input."""
    print("attempt", context["attempt"], "at", context["idempotency_key"])
    if context["attempt"] <= data.get("failures", 0):
        raise ValueError(f"attempt {context['attempt']} was told to fail") from KeyError("the reason")
    if data.get("declare"):
        raise Declared("NotWelcome", {"name": data["name"]})
    if data.get("seconds") and context["cancelled"].wait(data["seconds"]):
        raise InterruptedError("cancelled")
    if "due" in data:
        return {"due": data["due"] + timedelta(days=1), "big": data["big"] + 1, "bytes": data["bytes"] + b"!", "kind": data["kind"]}
    return {"greeting": f"Hello, {data['name']}!" + "!" * data.get("joy", 0), "attempt": context["attempt"], "key": context["idempotency_key"]}


if __name__ == "__main__":
    url, namespace, what, *rest = sys.argv[1:]
    if what == "work":
        Worker(Nats(url), namespace, "greet", greet, heartbeat_s=1.0).run()
        sys.exit()
    run = Run(Nats(url), namespace, rest[0])
    data = json.loads(rest[2]) if len(rest) > 2 else None
    if what == "start":
        answer = run.start(rest[1], data)
    elif what == "signal":
        answer = run.tell("SignalReceived", ("SignalAccepted", "SignalRefused"), name=rest[1], payload=data)
    elif what == "update":
        answers = ("UpdateRefused", "UpdateCompleted", "UpdateFailed")  # and UpdateAccepted, if one wants to know
        answer = run.tell("UpdateRequested", answers, name=rest[1], input=data)
    elif what == "query":
        answer = run.query(rest[1], data)
    elif what == "cancel":
        answer = run.tell("CancelRequested", ("CancelAccepted",), reason="asked to in Python")
    elif what == "terminate":
        answer = run.tell("TerminateRequested", (), reason="asked to in Python")
    print(json.dumps(answer))
