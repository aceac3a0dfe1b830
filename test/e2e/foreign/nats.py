"""As much of a NATS client as a Stepstream worker needs: one socket, the standard library, nothing else.

https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

import base64, json, queue, secrets, socket, threading
from collections import namedtuple
from urllib.parse import urlparse

Message = namedtuple("Message", "subject reply status data")


class Refused(Exception):
    """JetStream said no; nothing was stored."""

    def __init__(self, error):
        super().__init__(error.get("description"))
        self.code = error.get("err_code")


class Nats:
    def __init__(self, url):
        at = urlparse(url)
        self._socket = socket.create_connection((at.hostname, at.port or 4222))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lock, self._subscriptions, self._sids = threading.Lock(), {}, 0
        self._send('CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\n')
        threading.Thread(target=self._read, daemon=True).start()

    def publish(self, subject, data=b"", headers=None, reply=""):
        if not headers:
            return self._send(f"PUB {subject} {reply} {len(data)}\r\n", data, b"\r\n")
        head = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
        self._send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}\r\n", head, data, b"\r\n")

    def subscribe(self, subject, on_message):
        """Calls `on_message` in the reader's thread. Returns what `unsubscribe` takes."""
        self._sids += 1
        self._subscriptions[str(self._sids)] = on_message
        self._send(f"SUB {subject} {self._sids}\r\n")
        return self._sids

    def unsubscribe(self, sid):
        self._send(f"UNSUB {sid}\r\n")
        self._subscriptions.pop(str(sid), None)

    def request(self, subject, data=b"", headers=None, timeout=5):
        """The first answer. Raises queue.Empty if there is none in time."""
        answers, inbox = queue.Queue(), f"_INBOX.{secrets.token_hex(11)}"
        sid = self.subscribe(inbox, answers.put)
        try:
            self.publish(subject, data, headers, inbox)
            return answers.get(timeout=timeout)
        finally:
            self.unsubscribe(sid)

    # ---- JetStream

    def api(self, name, body=None):
        answer = json.loads(self.request(f"$JS.API.{name}", json.dumps(body).encode() if body else b"").data)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer

    def append(self, subject, data, headers=None):
        """Stores a message and returns its stream sequence (B2: on silence, again)."""
        for _ in range(5):
            try:
                answer = json.loads(self.request(subject, data, headers).data)
                break
            except (queue.Empty, json.JSONDecodeError):
                continue
        else:
            raise TimeoutError(f"no acknowledgement for {subject}")
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["seq"]

    def get(self, stream, **which):
        """(sequence, bytes) of one message, from the stream's leader; None if there is none."""
        try:
            message = self.api(f"STREAM.MSG.GET.{stream}", which)["message"]
        except Refused as refused:
            if refused.code == 10037:
                return None
            raise
        return message["seq"], base64.b64decode(message.get("data", ""))

    def read(self, stream, subject, seq=1):
        """All (sequence, bytes) of one subject, from a sequence on."""
        while found := self.get(stream, seq=seq, next_by_subj=subject):
            yield found
            seq = found[0] + 1

    # ---- the wire

    def _send(self, head, *parts):
        with self._lock:
            self._socket.sendall(b"".join((head.encode(), *parts)))

    def _read(self):
        wire = self._socket.makefile("rb")
        while line := wire.readline():
            verb, *args = line.decode().split()
            if verb == "PING":
                self._send("PONG\r\n")
            elif verb in ("MSG", "HMSG"):
                size, sid = int(args[-1]), args[1]
                body = wire.read(size + 2)[:size]
                head = int(args[-2]) if verb == "HMSG" else 0
                reply = args[2] if len(args) == (5 if verb == "HMSG" else 4) else ""
                # "NATS/1.0 404 No Messages": a status instead of a message.
                status = body[:head].split(b"\r\n")[0].decode().split(" ", 2)[1:2]
                if on_message := self._subscriptions.get(sid):
                    on_message(Message(args[0], reply, status[0] if status else "", body[head:]))
