# SPDX-License-Identifier: Apache-2.0
"""A requestor that speaks the upper layer (PS3.8 9.3) and C-STORE (PS3.7 9.3) by hand.

It sends a data set's bytes as they are, in whatever transfer syntax, and can break every rule: no toolkit
stands between a test and the wire.
"""
import socket
import struct

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
STORE_RQ, ECHO_RQ = 0x0001, 0x0030
COMMAND, LAST = 1, 2  # bits of a PDV's control byte


def item(kind, data, length=None):
    return struct.pack(">BxH", kind, len(data) if length is None else length) + data


def context_item(number, abstract, syntaxes):
    inner = item(0x30, abstract.encode()) + b"".join(item(0x40, s.encode()) for s in syntaxes)
    return item(0x20, struct.pack(">B3x", number) + inner)


def role_item(abstract, scu, scp):
    """SCP/SCU Role Selection (PS3.7 D.3.3.4)."""
    return item(0x54, struct.pack(">H", len(abstract)) + abstract.encode() + bytes([scu, scp]))


def associate_rq(called, calling, contexts, pdu_bytes=16384, roles=None):
    """The body of an A-ASSOCIATE-RQ; contexts: (number, abstract syntax, transfer syntaxes); roles: abstract
    syntax to (SCU, SCP)."""
    proposed = b"".join(role_item(a, *r) for a, r in (roles or {}).items())
    user = item(0x50, item(0x51, struct.pack(">L", pdu_bytes)) + item(0x52, b"1.2.3") + proposed)
    return (struct.pack(">HH", 1, 0) + called.ljust(16).encode() + calling.ljust(16).encode() + bytes(32)
            + item(0x10, APPLICATION_CONTEXT.encode())
            + b"".join(context_item(*c) for c in contexts) + user)


def element(number, value):
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHL", 0, number, len(value)) + value


def command(*elements):
    body = b"".join(element(n, v) for n, v in elements)
    return element(0, struct.pack("<L", len(body))) + body


def store_command(class_uid, instance_uid, message=1):
    return command((0x0002, class_uid.encode()), (0x0100, struct.pack("<H", STORE_RQ)),
                   (0x0110, struct.pack("<H", message)), (0x0700, b"\0\0"), (0x0800, b"\1\0"),
                   (0x1000, instance_uid.encode()))


def echo_command(message=1):
    return command((0x0002, VERIFICATION.encode()), (0x0100, struct.pack("<H", ECHO_RQ)),
                   (0x0110, struct.pack("<H", message)), (0x0800, b"\1\1"))


def pdv(context, control, data, claimed=None):
    return struct.pack(">LBB", (len(data) if claimed is None else claimed) + 2, context, control) + data


def elements_of(data):
    """The elements of a command set, by number."""
    found, at = {}, 0
    while at + 8 <= len(data):
        group, number, length = struct.unpack_from("<HHL", data, at)
        assert group == 0
        found[number] = data[at + 8:at + 8 + length]
        at += 8 + length
    return found


class Refused(Exception):
    """The association was rejected, aborted or closed; args[0] is the PDU's type, 0 for closed."""


class Wire:
    """A connection that sends what it is told and reads whole PDUs."""

    def __init__(self, port, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.socket.sendall(data)

    def send_pdu(self, kind, body, claimed=None):
        self.send(struct.pack(">BxL", kind, len(body) if claimed is None else claimed) + body)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Refused(0)
            data += part
        return data

    def receive(self):
        kind, length = struct.unpack(">BxL", self._exactly(6))
        return kind, self._exactly(length)

    def ending(self):
        """Reads until the peer ends it: ABORT, ASSOCIATE_RJ or RELEASE_RP, after which it waits for us to
        close, or 0 when it just closed."""
        last = -1
        while last not in (0, ABORT, ASSOCIATE_RJ, RELEASE_RP):
            try:
                last, _ = self.receive()
            except Refused:
                return 0
        return last

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Association(Wire):
    """contexts: (abstract syntax, transfer syntaxes); their numbers are 1, 3, 5 ..."""

    def __init__(self, port, called, calling="CT1", contexts=((CT, [EXPLICIT_LE]),), timeout=20,
                 roles=None):
        super().__init__(port, timeout)
        numbered = [(2 * i + 1, c, s) for i, (c, s) in enumerate(contexts)]
        numbered.append((2 * len(numbered) + 1, VERIFICATION, [EXPLICIT_LE]))
        self.verification, self.message = numbered[-1][0], 0
        self.send_pdu(ASSOCIATE_RQ, associate_rq(called, calling, numbered, roles=roles))
        kind, body = self.receive()
        if kind != ASSOCIATE_AC:
            self.close()
            raise Refused(kind)
        self.accepted = self._answers(body[68:])

    @staticmethod
    def _answers(data):
        found, at = {}, 0
        while at + 4 <= len(data):
            kind, length = struct.unpack_from(">BxH", data, at)
            if kind == 0x21 and data[at + 6] == 0:
                found[data[at + 4]] = data[at + 12:at + 4 + length].decode()
            at += 4 + length
        return found

    def pdata(self, context, control, data, claimed=None):
        self.send_pdu(P_DATA, pdv(context, control, data, claimed))

    def status(self):
        """The status of the next response."""
        kind, body = self.receive()
        if kind != P_DATA:
            raise Refused(kind)
        return struct.unpack("<H", elements_of(body[6:])[0x0900])[0]

    def store(self, context, class_uid, instance_uid, data, fragment=16000):
        self.message += 1
        self.pdata(context, COMMAND | LAST, store_command(class_uid, instance_uid, self.message))
        parts = [data[i:i + fragment] for i in range(0, len(data), fragment)] or [b""]
        for i, part in enumerate(parts):
            self.pdata(context, LAST if i == len(parts) - 1 else 0, part)
        return self.status()

    def echo(self):
        self.message += 1
        self.pdata(self.verification, COMMAND | LAST, echo_command(self.message))
        return self.status()

    def release(self):
        self.send_pdu(RELEASE_RQ, bytes(4))
        kind, _ = self.receive()
        self.close()
        return kind
