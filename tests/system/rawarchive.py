# SPDX-License-Identifier: Apache-2.0
"""An archive that speaks the upper layer by hand: C-STORE, and storage commitment in all its moods.

It says success to every C-STORE and keeps what it likes; asked for commitment it reports on the same
association, on one of its own (with or without the role that PS3.4 J.3.3 asks for), or never.
"""
import socket
import struct
import threading

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

import rawdicom as raw

IMPLICIT_LE = "1.2.840.10008.1.2"
COMMITMENT, COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
EVENT_RQ, ACTION_RQ = 0x0100, 0x0130
NO_SUCH_INSTANCE = 0x0112


def encoded(dataset):
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, dataset)
    return out.getvalue()


def decoded(data):
    return read_dataset(DicomBytesIO(data), True, True)


def message(transaction, good=(), bad=()):
    """good: (class, instance); bad: (class, instance, reason)."""
    def item(class_uid, instance_uid, reason=None):
        one = Dataset()
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = class_uid, instance_uid
        if reason is not None:
            one.FailureReason = reason
        return one
    out = Dataset()
    out.TransactionUID = transaction
    if good:
        out.ReferencedSOPSequence = [item(*g) for g in good]
    if bad:
        out.FailedSOPSequence = [item(*b) for b in bad]
    return encoded(out)


def action_command(number):
    return raw.command((0x0003, COMMITMENT.encode()), (0x0100, struct.pack("<H", ACTION_RQ)),
                       (0x0110, struct.pack("<H", number)), (0x0800, b"\1\0"),
                       (0x1001, COMMITMENT_INSTANCE.encode()), (0x1008, struct.pack("<H", 1)))


def event_command(number, event):
    return raw.command((0x0002, COMMITMENT.encode()), (0x0100, struct.pack("<H", EVENT_RQ)),
                       (0x0110, struct.pack("<H", number)), (0x0800, b"\1\0"),
                       (0x1000, COMMITMENT_INSTANCE.encode()), (0x1002, struct.pack("<H", event)))


def response(request, status, class_element=0x0002):
    field, number = request[0x0100], request[0x0110]
    return raw.command((0x0002, request[class_element]),
                       (0x0100, struct.pack("<H", struct.unpack("<H", field)[0] | 0x8000)), (0x0120, number),
                       (0x0800, b"\1\1"), (0x0900, struct.pack("<H", status)))


def messages(wire):
    """What comes on an association: (context, command elements, data set bytes or None), until it ends."""
    parts = {raw.COMMAND: b"", 0: b""}
    request = None
    while True:
        try:
            kind, body = wire.receive()
        except (raw.Refused, OSError):
            return
        if kind == raw.RELEASE_RQ:
            wire.send_pdu(raw.RELEASE_RP, bytes(4))
        if kind != raw.P_DATA:
            return
        at = 0
        while at < len(body):
            length, context, control = struct.unpack_from(">LBB", body, at)
            parts[control & raw.COMMAND] += body[at + 6:at + 4 + length]
            at += 4 + length
            if not control & raw.LAST:
                continue
            if control & raw.COMMAND:
                request = raw.elements_of(parts[raw.COMMAND])
                parts[raw.COMMAND] = b""
                if struct.unpack("<H", request[0x0800])[0] == 0x0101:
                    yield context, request, None
            else:
                data, parts[0] = parts[0], b""
                yield context, request, data


class Accepted(raw.Wire):
    """The accepting end of a connection; the first PDU of a kind of which a context has several syntaxes is
    answered with the first."""

    def __init__(self, connection):
        self.socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind, body = self.receive()
        assert kind == raw.ASSOCIATE_RQ
        self.contexts = {}
        at, answers = 68, b""
        while at + 4 <= len(body):
            kind, length = struct.unpack_from(">BxH", body, at)
            if kind == 0x20:
                number = body[at + 4]
                inner, found = body[at + 8:at + 4 + length], {}
                while inner:
                    sub, size = struct.unpack_from(">BxH", inner)
                    found.setdefault(sub, inner[4:4 + size])
                    inner = inner[4 + size:]
                self.contexts[number] = (found[0x30].decode(), found[0x40].decode())
                answers += raw.item(0x21, struct.pack(">BxBx", number, 0) + raw.item(0x40, found[0x40]))
            at += 4 + length
        user = raw.item(0x50, raw.item(0x51, struct.pack(">L", 16384)) + raw.item(0x52, b"1.2.3"))
        self.send_pdu(raw.ASSOCIATE_AC, body[:68] + raw.item(0x10, raw.APPLICATION_CONTEXT.encode())
                      + answers + user)

    def send_message(self, context, command, data=None):
        self.send_pdu(raw.P_DATA, raw.pdv(context, raw.COMMAND | raw.LAST, command))
        for i in range(0, len(data or b""), 8000):
            last = raw.LAST if i + 8000 >= len(data) else 0
            self.send_pdu(raw.P_DATA, raw.pdv(context, last, data[i:i + 8000]))


class Archive:
    """keeps(uid, times) decides at each C-STORE; report: same, other, sloppy or never."""

    def __init__(self, ae_title, report="same", keeps=lambda uid, times: True):
        self.ae_title, self.report, self.keeps = ae_title, report, keeps
        self.call = None  # (port, called AE) for reports on an association of its own
        self.times, self.kept, self.asked, self.answers = {}, set(), [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with Accepted(connection) as wire:
            for context, request, data in messages(wire):
                self._answer(wire, context, request, data)

    def _answer(self, wire, context, request, data):
        field = struct.unpack("<H", request[0x0100])[0]
        if field == raw.STORE_RQ:
            uid = request[0x1000].rstrip(b"\0").decode()
            self.times[uid] = self.times.get(uid, 0) + 1
            if self.keeps(uid, self.times[uid]):
                self.kept.add(uid)
        if field == EVENT_RQ | 0x8000:
            self.answers.append(struct.unpack("<H", request[0x0900])[0])
            return
        if field != ACTION_RQ:
            wire.send_message(context, response(request, 0))
            return
        wire.send_message(context, response(request, 0, 0x0003))
        asked = decoded(data)
        self.asked.append(asked)
        event, body = self.result(asked)
        if self.report == "same":
            wire.send_message(context, event_command(7, event), body)
        elif self.report != "never":
            threading.Thread(target=self.tell, args=(event, body), daemon=True).start()

    def result(self, asked):
        """(event type, data set) for a request."""
        items = [(str(i.ReferencedSOPClassUID), str(i.ReferencedSOPInstanceUID)) for i in asked.ReferencedSOPSequence]
        good = [i for i in items if i[1] in self.kept]
        bad = [(*i, NO_SUCH_INSTANCE) for i in items if i[1] not in self.kept]
        return 2 if bad else 1, message(asked.TransactionUID, good, bad)

    def tell(self, event, body):
        """A report on an association of its own; the status that it is answered with."""
        port, called = self.call
        roles = {COMMITMENT: (0, 1)} if self.report == "other" else {}
        with raw.Association(port, called, self.ae_title, ((COMMITMENT, [IMPLICIT_LE]),), roles=roles) as one:
            one.pdata(1, raw.COMMAND | raw.LAST, event_command(9, event))
            one.pdata(1, raw.LAST, body)
            self.answers.append(one.status())
            one.release()
            return self.answers[-1]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # else accept() takes one more
        self.listener.close()
        self.threads[0].join()
