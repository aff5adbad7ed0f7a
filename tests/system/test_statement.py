# SPDX-License-Identifier: Apache-2.0
"""docs/dicom-conformance-statement.md says what the code's tables say, and what a peer sees on the wire."""
import re
import struct

import pytest

import hospital
import rawdicom
import statement


@pytest.fixture(scope="module")
def page():
    return statement.PAGE.read_text()


def section(page, name):
    return next(m[0] for m in statement.SECTION.finditer(page) if m[2] == name)


def test_the_tables_of_the_page_are_those_of_the_code(page):
    assert statement.filled(page) == page, "tests/system/statement.py --write makes them anew"


def test_a_table_that_was_changed_by_hand_is_noticed(page):
    forged = page.replace("1.2.840.10008.1.2.4.90 ", "1.2.840.10008.1.2.4.99 ", 1)
    assert forged != page and statement.filled(forged) == page


def user_information(answer):
    """The items of an A-ASSOCIATE-AC's user information, by type (PS3.8 annex D, PS3.7 D.3.3)."""
    at, found = 68, {}
    while at + 4 <= len(answer):
        kind, length = struct.unpack_from(">BxH", answer, at)
        at += 4
        if kind == 0x50:
            continue  # its items follow
        found[kind] = answer[at:at + length]
        at += length
    return found


def test_the_association_is_as_the_page_says(page, stage):
    node = stage.node("A", "CLINIC_A")
    node.peer("CT1", ae_title="CT1", hosts=[hospital.LOOPBACK])
    node.start()
    with rawdicom.Wire(node.port) as wire:
        contexts = [(1, rawdicom.CT, [rawdicom.EXPLICIT_LE]), (3, "1.2.840.10008.5.1.4.1.2.2.1", [rawdicom.EXPLICIT_LE])]
        wire.send_pdu(rawdicom.ASSOCIATE_RQ, rawdicom.associate_rq("CLINIC_A", "CT1", contexts))
        kind, body = wire.receive()
        assert kind == rawdicom.ASSOCIATE_AC
        items = user_information(body)
        assert str(struct.unpack(">L", items[0x51])[0]) in re.search(r"PDU size.*", page)[0]
        facts = section(page, "association")
        assert f"| {items[0x52].decode()} |" in facts and f"| {items[0x55].decode()} |" in facts
        assert 0x53 not in items, "no asynchronous operations"
        wire.send_pdu(rawdicom.RELEASE_RQ, bytes(4))


def test_a_sender_calls_itself_the_same(page, stage, data):
    """The Delivery AE's own association, as DCMTK's receiver logs it."""
    node = stage.node("A", "CLINIC_A")
    receiver = stage.storescp("PACS", options=("+B", "+xa", "-d"))
    node.peer("CT1", ae_title="CT1", hosts=[hospital.LOOPBACK])
    node.peer("PACS", ae_title="PACS", host=hospital.LOOPBACK, port=receiver.port)
    node.rule(name="on", when={"calling_ae": ["CT1"]}, study_complete_after="1 s", send_to=["PACS"])
    receiver.start()
    node.start()
    hospital.storescu(data / "other" / "CT_small.dcm", node.port, "CLINIC_A")
    hospital.wait_for("the image at the receiver", receiver.files, 60, alive=node.program)
    log = (receiver.folder / "storescp.log").read_text(errors="replace")
    theirs = set(re.findall(r"Their Implementation Class UID:[ \t]*(\S+)", log))
    assert len(theirs) == 1 and f"| {theirs.pop()} |" in section(page, "association")
