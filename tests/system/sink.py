# SPDX-License-Identifier: Apache-2.0
"""A receiver that speaks the upper layer by hand and does what a test tells it: the last station of a flow, and the
peer that stalls, resets, refuses or lies.

It remembers every instance by SOP Instance UID and SHA-256 of the data set's bytes, and how often it came.
"""
import hashlib
import socket
import struct
import threading
from collections import namedtuple

import hospital
import rawarchive
import rawdicom
from rawdicom import item, pdv

STORE_RSP, ECHO_RSP = 0x8001, 0x8030
PDU_BYTES = 131072

Arrived = namedtuple("Arrived", "class_uid times data")


class Mood:
    """What the peer does; a test overrides what it wants to be different. Methods may be called at once from
    many connections."""

    def silent_at_association(self):
        """Accept the connection, never answer."""
        return False

    def reset_after(self):
        """Bytes of one association after which the connection is reset; None: never."""
        return None

    def stall_after(self):
        """Bytes of one association after which nothing more is read or said; None: never."""
        return None

    def answer(self, uid):
        """(status, whether it is kept); None: never answer."""
        return 0x0000, True


class Cut(Exception):
    """This connection is over."""


class Sink:
    kind = "sink"

    def __init__(self, ae_title="SINK"):
        self.ae_title, self.port = ae_title, hospital.free_port()
        self.mood = Mood()
        self.program = None  # it is a thread: the stage asks for programs
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._stored, self._uids, self._arrivals = {}, set(), 0
        self._open = set()
        self.associations = 0

    def start(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((hospital.LOOPBACK, self.port))
        self._listener.listen(64)
        self._ended.clear()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def stop(self):
        """No listener, no connection: as a machine that is switched off. start() brings it back."""
        self._ended.set()
        listener = getattr(self, "_listener", None)
        if listener is None:
            return
        try:
            listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        listener.close()
        self.hang_up()
        self._thread.join(10)

    def hang_up(self):
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            _reset(connection)

    def stored(self):
        with self._lock:
            return dict(self._stored)

    def uids(self):
        return self._uids

    def arrivals(self):
        return self._arrivals

    def keep(self, class_uid, uid, data):
        key = (uid, hashlib.sha256(data).hexdigest())
        with self._lock:
            known = self._stored.get(key)
            self._stored[key] = (known._replace(times=known.times + 1) if known
                                 else Arrived(class_uid, 1, data))
            self._uids.add(uid)
            self._arrivals += 1

    def _accept(self):
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Conversation(self, connection).run()
        except (OSError, Cut, struct.error):
            pass
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()


def _reset(connection):
    """RST instead of FIN: what was under way is lost."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class Conversation:
    """One association, as the acceptor."""

    def __init__(self, sink, connection):
        self.sink, self.connection, self.read_bytes = sink, connection, 0
        self.mood = sink.mood
        self.reset_after, self.stall_after = self.mood.reset_after(), self.mood.stall_after()
        self.command, self.data = b"", bytearray()

    def run(self):
        while True:
            kind, body = self._pdu()
            if kind == rawdicom.ASSOCIATE_RQ:
                if self.mood.silent_at_association():
                    self._fall_silent()
                self._accept(body)
            elif kind == rawdicom.P_DATA:
                self._pdata(body)
            elif kind == rawdicom.RELEASE_RQ:
                self._send_pdu(rawdicom.RELEASE_RP, bytes(4))
                return
            else:
                return

    def _fall_silent(self):
        self.connection.settimeout(None)
        while not self.sink._ended.wait(0.2) and self.sink.mood is self.mood:
            pass
        raise Cut

    def _exactly(self, count):
        data = bytearray()
        while len(data) < count:
            want = count - len(data)
            for limit in (self.reset_after, self.stall_after):
                if limit is not None:
                    want = min(want, max(limit - self.read_bytes, 0))
            if want == 0:
                if self.reset_after is not None and self.read_bytes >= self.reset_after:
                    _reset(self.connection)
                    raise Cut
                self._fall_silent()
            part = self.connection.recv(want)
            if not part:
                raise Cut
            self.read_bytes += len(part)
            data += part
        return bytes(data)

    def _pdu(self):
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def _send_pdu(self, kind, body):
        self.connection.sendall(struct.pack(">BxL", kind, len(body)) + body)

    def _accept(self, body):
        """Every presentation context, with Explicit VR Little Endian where it was proposed for images."""
        answers, at = b"", 68
        while at + 4 <= len(body):
            kind, length = struct.unpack_from(">BxH", body, at)
            if kind == 0x20:
                number, (abstract, *syntaxes) = body[at + 4], self._names(body[at + 8:at + 4 + length])
                wanted = rawarchive.IMPLICIT_LE if abstract == rawarchive.COMMITMENT else rawdicom.EXPLICIT_LE
                chosen = wanted if wanted in syntaxes else syntaxes[0]
                answers += item(0x21, struct.pack(">BxBx", number, 0) + item(0x40, chosen.encode()))
            at += 4 + length
        user = item(0x50, item(0x51, struct.pack(">L", PDU_BYTES)) + item(0x52, b"1.2.3"))
        self.sink.associations += 1
        self._send_pdu(rawdicom.ASSOCIATE_AC,
                       body[:68] + item(0x10, rawdicom.APPLICATION_CONTEXT.encode()) + answers + user)

    @staticmethod
    def _names(data):
        """Abstract syntax and transfer syntaxes, which follow it (PS3.8 9.3.2.2)."""
        found, at = [], 0
        while at + 4 <= len(data):
            length = struct.unpack_from(">H", data, at + 2)[0]
            found.append(data[at + 4:at + 4 + length].decode().rstrip("\0"))
            at += 4 + length
        return found

    def _pdata(self, body):
        at = 0
        while at + 6 <= len(body):
            length, context, control = struct.unpack_from(">LBB", body, at)
            part = body[at + 6:at + 4 + length]
            at += 4 + length
            if control & rawdicom.COMMAND:
                self.command += part
                if control & rawdicom.LAST and self._no_data_set():
                    self._message(context)
            else:
                self.data += part
                if control & rawdicom.LAST:
                    self._message(context)

    def _no_data_set(self):
        return rawdicom.elements_of(self.command)[0x0800] == b"\1\1"

    def _message(self, context):
        fields = rawdicom.elements_of(self.command)
        data, self.command, self.data = bytes(self.data), b"", bytearray()
        kind = struct.unpack("<H", fields[0x0100])[0]
        if kind == rawdicom.STORE_RQ:
            self._store(context, fields, data)
        elif kind == rawdicom.ECHO_RQ:
            self._respond(context, fields, ECHO_RSP, 0x0000)
        elif kind == rawarchive.ACTION_RQ:
            self._commit(context, fields, data)
        elif kind & 0x8000:
            pass  # what our own report was answered with
        else:
            raise Cut

    def _store(self, context, fields, data):
        class_uid, uid = (fields[n].rstrip(b"\0").decode() for n in (0x0002, 0x1000))
        verdict = self.mood.answer(uid)
        if verdict is None:
            self._fall_silent()
        status, kept = verdict
        if kept:
            self.sink.keep(class_uid, uid, data)
        self._respond(context, fields, STORE_RSP, status, (0x1000, fields[0x1000]))

    def _commit(self, context, fields, data):
        """Storage commitment (PS3.4 J.3), reported on the same association: what is really there."""
        asked = rawarchive.decoded(data)
        items = [(str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)) for i in asked.ReferencedSOPSequence]
        there = [i for i in items if i[1] in self.sink.uids()]
        missing = [(*i, rawarchive.NO_SUCH_INSTANCE) for i in items if i not in there]
        self._send_message(context, rawarchive.response(fields, 0x0000, 0x0003))
        self._send_message(context, rawarchive.event_command(1, 2 if missing else 1),
                           rawarchive.message(asked.TransactionUID, there, missing))

    def _send_message(self, context, command, data=b""):
        self._send_pdu(rawdicom.P_DATA, pdv(context, rawdicom.COMMAND | rawdicom.LAST, command))
        if data:
            self._send_pdu(rawdicom.P_DATA, pdv(context, rawdicom.LAST, data))

    def _respond(self, context, fields, kind, status, *more):
        body = rawdicom.command((0x0002, fields[0x0002]), (0x0100, struct.pack("<H", kind)),
                                (0x0120, fields[0x0110]), (0x0800, b"\1\1"), (0x0900, struct.pack("<H", status)),
                                *more)
        self._send_pdu(rawdicom.P_DATA, pdv(context, rawdicom.COMMAND | rawdicom.LAST, body))
