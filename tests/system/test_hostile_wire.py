# SPDX-License-Identifier: Apache-2.0
"""What a broken or hostile peer sends costs it its own association at most, and leaves nothing behind."""
import io
import struct
import subprocess

import pydicom
import pytest

import compare
import hospital
import rawdicom
from rawdicom import ABORT, COMMAND, CT, EXPLICIT_LE, LAST, P_DATA, Association, Refused, Wire

OTHER = "1.2.826.0.1.3680043.9.9999.1"
ANSWERS = {0x0000, 0xA900, 0xC000}
QUIET = 5  # seconds that a peer may be silent in these tests; nothing is waited for that long


@pytest.fixture
def node(stage):
    one = stage.node("A", "CLINIC_A")
    one.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    one.start()
    return one


@pytest.fixture
def bystander(node):
    """Another association, open all the time: it must not notice anything."""
    with Association(node.port, "CLINIC_A") as other:
        yield other
        assert other.echo() == 0
        assert other.release() == rawdicom.RELEASE_RP


def meta_of(data):
    """Class, instance and transfer syntax as the file says; what it does not say is made up."""
    try:
        inside = pydicom.dcmread(io.BytesIO(data), force=True, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        meta = inside.file_meta
    except Exception:  # noqa: BLE001 - it is broken; that is the point
        meta = inside = None

    def uid(source, name, default):
        text = str(getattr(source, name, "") or "")
        return text if text and set(text) <= set("0123456789.") and len(text) <= 64 else default
    return (uid(inside, "SOPClassUID", CT), uid(inside, "SOPInstanceUID", OTHER),
            uid(meta, "TransferSyntaxUID", EXPLICIT_LE))


def send_broken(node, data):
    """One file as a C-STORE; its status. The association lives on."""
    class_uid, instance_uid, syntax = meta_of(data)
    contexts = [(class_uid, [syntax]), (CT, [EXPLICIT_LE])]
    with Association(node.port, node.ae_title, contexts=contexts) as sender:
        number, abstract = (1, class_uid) if 1 in sender.accepted else (3, CT)
        status = sender.store(number, abstract, instance_uid, compare.data_set_bytes(data))
        assert sender.echo() == 0
        assert sender.release() == rawdicom.RELEASE_RP
        return status


def settled(node):
    return not any(any((node.state / "spool" / folder).iterdir()) for folder in ("tmp", "new"))


def readable(path):
    """By somebody else's reader: every element by pydicom, or by DCMTK's."""
    try:
        ds = pydicom.dcmread(str(path), force=True)
        for _ in ds.iterall():
            pass
        if ds.SOPInstanceUID and ds.StudyInstanceUID:
            return True
    except Exception:  # noqa: BLE001 - then the other one has to
        pass
    dump = subprocess.run(["dcmdump", "+P", "StudyInstanceUID", "+P", "SOPInstanceUID", path], capture_output=True)
    return dump.returncode == 0 and dump.stdout.count(b"UI [") >= 2


@pytest.mark.filterwarnings("ignore")  # pydicom's remarks on what it reads
def test_every_malformed_file_is_answered_and_nothing_bad_is_kept_as_good(node, bystander, data):
    files = sorted(p for p in (data / "malformed").rglob("*") if p.is_file() and p.name != "INDEX.tsv")
    assert len(files) > 300
    statuses = {}
    for path in files:
        statuses[path] = send_broken(node, path.read_bytes())
        assert bystander.echo() == 0, path
    strange = {p.name: f"{s:04x}" for p, s in statuses.items() if s not in ANSWERS}
    assert strange == {}
    hospital.wait_for("the spool to be empty", lambda: settled(node), 60, alive=node.program)
    assert not any((node.state / "spool" / "tmp").iterdir())
    quarantine = node.state / "quarantine"
    for path in quarantine.glob("*.dcm"):
        assert path.with_suffix(".reason").read_text().strip()
    for path in node.archive():
        assert readable(path), path
        assert bystander.echo() == 0  # or it would be silent for too long
    taken = sum(1 for s in statuses.values() if s == 0)
    assert 0 < len(node.archive()) + len(list(quarantine.glob("*.dcm"))) <= taken < len(files)


def truncated_command():
    return rawdicom.store_command(CT, OTHER)[:-7]


def pdus(*parts):
    return b"".join(struct.pack(">BxL", kind, len(body)) + body for kind, body in parts)


def data_pdv(control, data, context=1, claimed=None):
    return rawdicom.pdv(context, control, data, claimed)


STORE = rawdicom.store_command(CT, OTHER)
ATTACKS = {
    "a PDV longer than its PDU": pdus((P_DATA, data_pdv(COMMAND | LAST, b"abcd", claimed=4000))),
    "a PDV of no length": pdus((P_DATA, struct.pack(">L", 0))),
    "a PDV of one byte": pdus((P_DATA, struct.pack(">LB", 1, 1))),
    "a PDV of 4 GiB": pdus((P_DATA, struct.pack(">LBB", 0xFFFFFFFF, 1, 3) + b"abcd")),
    "half a PDV head": pdus((P_DATA, b"\0\0")),
    "an empty P-DATA": pdus((P_DATA, b"")),
    "a PDU of 4 GiB": struct.pack(">BxL", P_DATA, 0xFFFFFFFF) + b"x" * 4096,
    "a PDU of 2 GiB": struct.pack(">BxL", P_DATA, 0x7FFFFFFF) + b"x" * 4096,
    "a command on an even context": pdus((P_DATA, data_pdv(COMMAND | LAST, STORE, context=2))),
    "a command on context 255": pdus((P_DATA, data_pdv(COMMAND | LAST, STORE, context=255))),
    "a command on context 0": pdus((P_DATA, data_pdv(COMMAND | LAST, STORE, context=0))),
    "a data set before any command": pdus((P_DATA, data_pdv(LAST, b"abcd"))),
    "a data set on another context": pdus((P_DATA, data_pdv(COMMAND | LAST, STORE)),
                                          (P_DATA, data_pdv(LAST, b"abcd", context=3))),
    "a command inside a data set": pdus((P_DATA, data_pdv(COMMAND | LAST, STORE)),
                                        (P_DATA, data_pdv(COMMAND | LAST, STORE))),
    "a command set cut off": pdus((P_DATA, data_pdv(COMMAND | LAST, truncated_command()))),
    "an empty command set": pdus((P_DATA, data_pdv(COMMAND | LAST, b""))),
    "a command set of noise": pdus((P_DATA, data_pdv(COMMAND | LAST, bytes(range(256))))),
    "a command element of 4 GiB": pdus((P_DATA, data_pdv(COMMAND | LAST, struct.pack(
        "<HHL", 0, 0x1000, 0xFFFFFFFF) + b"1.2"))),
    "a response to nothing": pdus((P_DATA, data_pdv(COMMAND | LAST, rawdicom.command(
        (0x0100, b"\1\x80"), (0x0120, b"\1\0"), (0x0800, b"\1\1"), (0x0900, b"\0\0"))))),
    "a command set without end": pdus(*[(P_DATA, data_pdv(COMMAND, bytes(8000)))] * 12),
    "a second A-ASSOCIATE-RQ": pdus((rawdicom.ASSOCIATE_RQ, rawdicom.associate_rq(
        "CLINIC_A", "CT1", [(1, CT, [EXPLICIT_LE])]))),
    "an A-ASSOCIATE-AC to the acceptor": pdus((rawdicom.ASSOCIATE_AC, bytes(68))),
    "an A-RELEASE-RP to nothing": pdus((rawdicom.RELEASE_RP, bytes(4))),
    "a PDU of no known type": pdus((0x5A, bytes(40))),
    "a release inside a data set": pdus((P_DATA, data_pdv(COMMAND | LAST, STORE)),
                                        (P_DATA, data_pdv(0, b"abcd")),
                                        (rawdicom.RELEASE_RQ, bytes(4))),
}


def test_whatever_breaks_the_protocol_ends_its_own_association_only(node, bystander):
    for name, attack in ATTACKS.items():
        with Association(node.port, "CLINIC_A", contexts=[(CT, [EXPLICIT_LE])]) as bad:
            bad.send(attack)
            bad.socket.settimeout(QUIET * hospital.slow())
            assert bad.ending() in (0, ABORT, rawdicom.RELEASE_RP), name
        assert bystander.echo() == 0, name
        assert not any((node.state / "spool" / "tmp").iterdir()), name
    assert settled(node) and node.archive() == []


def test_garbage_before_an_association_is_no_association(node, bystander):
    good = rawdicom.associate_rq("CLINIC_A", "CT1", [(1, CT, [EXPLICIT_LE])])
    for attack in (
            b"GET / HTTP/1.1\r\n\r\n" * 10,
            pdus((P_DATA, data_pdv(COMMAND | LAST, STORE))),
            pdus((rawdicom.RELEASE_RQ, bytes(4))),
            pdus((ABORT, bytes(4))),
            pdus((rawdicom.ASSOCIATE_RQ, good[:40])),
            pdus((rawdicom.ASSOCIATE_RQ, good[:-9])),
            pdus((rawdicom.ASSOCIATE_RQ, good[:68] + rawdicom.item(0x20, b"\1\0\0\0", 0xFFFF))),
            pdus((rawdicom.ASSOCIATE_RQ, good[:68] + rawdicom.item(0x20, b""))),
            pdus((rawdicom.ASSOCIATE_RQ, good[:68] + rawdicom.item(0x50, rawdicom.item(0x51, b"")))),
            struct.pack(">BxL", rawdicom.ASSOCIATE_RQ, 0xFFFFFFF0) + good):
        with Wire(node.port) as bad:
            bad.send(attack)
            bad.socket.settimeout(QUIET * hospital.slow())
            assert bad.ending() in (0, rawdicom.ASSOCIATE_RJ, ABORT), attack[:60]
        assert bystander.echo() == 0


def test_ten_thousand_contexts_are_no_way_in(node, bystander):
    """Their numbers are odd and one byte: most stand twice. And one context with more syntaxes than there are."""
    many = [(2 * i % 256 + 1, CT, [EXPLICIT_LE]) for i in range(10000)]
    wide = [(1, CT, [f"1.2.3.{i}" for i in range(200)] + [EXPLICIT_LE])]
    for contexts in (many, wide):
        with Wire(node.port) as bad:
            bad.send_pdu(rawdicom.ASSOCIATE_RQ, rawdicom.associate_rq("CLINIC_A", "CT1", contexts))
            assert bad.ending() in (0, rawdicom.ASSOCIATE_RJ, ABORT)
        assert bystander.echo() == 0


def test_an_instance_that_is_refused_costs_only_itself(node, bystander):
    good = struct.pack("<HH2sH", 8, 0x60, b"CS", 2) + b"CT"
    forged = struct.pack("<HH2sH", 2, 0x16, b"AE", 4) + b"BOSS"  # Source AE: ours to write
    with Association(node.port, "CLINIC_A", contexts=[(CT, [EXPLICIT_LE])]) as sender:
        assert sender.store(1, CT, OTHER, b"") == 0xC000
        assert sender.store(1, CT, OTHER, forged + good) == 0xC000
        assert sender.store(1, CT, OTHER, b"odd") == 0xC000
        assert sender.store(1, CT, OTHER, good + b"\0") == 0xC000
        assert sender.store(1, CT, OTHER, good + b"\0\0") == 0xC000
        assert sender.store(1, CT, "../../etc/passwd", good) == 0xC000
        assert sender.store(1, CT, "1" * 65, good) == 0xC000
        assert sender.store(1, CT, "", good) == 0xC000
        assert sender.store(1, rawdicom.VERIFICATION, OTHER, good) == 0xA900
        assert sender.store(sender.verification, rawdicom.VERIFICATION, OTHER, good) == 0x0122
        assert sender.store(1, CT, OTHER, good) == 0
        assert sender.echo() == 0
    hospital.wait_for("the one to be set aside", lambda: list((node.state / "quarantine").glob("*.dcm")))
    assert node.archive() == [] and not any((node.state / "spool" / "tmp").iterdir())


def test_a_connection_lost_at_any_point_leaves_nothing(node, bystander):
    stream = pdus((P_DATA, data_pdv(COMMAND | LAST, STORE)), (P_DATA, data_pdv(0, bytes(200))),
                  (P_DATA, data_pdv(LAST, bytes(200))))
    for cut in range(1, len(stream), 11):
        with Association(node.port, "CLINIC_A", contexts=[(CT, [EXPLICIT_LE])]) as bad:
            bad.send(stream[:cut])
    hospital.wait_for("all half instances to be gone",
                      lambda: not any((node.state / "spool" / "tmp").iterdir()), alive=node.program)
    assert settled(node) and bystander.echo() == 0


def test_a_rejected_title_says_why(node):
    with pytest.raises(Refused) as refusal:
        Association(node.port, "SOMEBODY")
    assert refusal.value.args[0] == rawdicom.ASSOCIATE_RJ
