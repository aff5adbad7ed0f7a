# SPDX-License-Identifier: Apache-2.0
"""Storage commitment: our node asks Orthanc and archives that lie, and is asked by Orthanc and a modality."""
import json
import shutil
import struct
import urllib.request

import pydicom
import pytest

import hospital
import rawarchive
import rawdicom as raw
from rawarchive import COMMITMENT, IMPLICIT_LE, NO_SUCH_INSTANCE, decoded, message
from test_two_hospitals import count

needs_orthanc = pytest.mark.skipif(shutil.which("Orthanc") is None, reason="Orthanc is not installed")
CT = raw.CT


def images(data, number):
    return sorted((data / "ct" / "ge-hispeed").glob("*.dcm"))[:number]


def sending_node(stage, port, **peer):
    node = stage.node("A", "CLINIC_A")
    node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    node.peer("ARCHIVE", ae_title="ARCHIVE", host=hospital.LOOPBACK, port=port,
              retry={"first": "200 ms", "cap": "1 s"}, **peer)
    node.rule(name="on", study_complete_after="1 s", protect={"payload": "integrity"}, send_to=["ARCHIVE"])
    return node


def states(node):
    return dict((state, int(n)) for state, n in node.psql(
        "SELECT state, count(*) FROM deliveries GROUP BY state"))


def wait_states(node, wanted, timeout=60):
    hospital.wait_for(f"deliveries {wanted}", lambda: states(node) == wanted, timeout, alive=node.program)


def start(node):
    """With its database, also after one that it had before."""
    def there():
        return node.log.read_text().count("the database is there") if node.log.exists() else 0
    before = there()
    node.start()
    hospital.wait_for("the database", lambda: there() > before, 30, alive=node.program)


def events(node, kind):
    return count(node, f"SELECT count(*) FROM events WHERE kind = '{kind}'")


@needs_orthanc
def test_orthanc_commits_itself_to_what_it_has(stage, data):
    pacs = stage.orthanc("ARCHIVE")
    node = sending_node(stage, pacs.port, commitment=True)
    pacs.modalities = {"a": ["CLINIC_A", hospital.LOOPBACK, node.port]}
    pacs.start()
    start(node)
    hospital.storescu(images(data, 4), node.port, "CLINIC_A")
    wait_states(node, {"committed": 4})
    assert events(node, "committed") == 4
    assert count(node, "SELECT count(*) FROM commitment_items i JOIN deliveries d ON d.id = i.delivery_id "
                       "WHERE i.sop_uid = d.sent_sop_uid AND i.answer = 0") == 4


@pytest.mark.parametrize("report", ["same", "other", "sloppy"])
def test_what_is_answered_with_success_and_dropped_is_found_and_sent_again(stage, data, report):
    """Every second image is thrown away when it comes first."""
    dropped = []

    def keeps(uid, times):
        if times == 1 and len(dropped) < 2:
            dropped.append(uid)
            return False
        return True
    archive = rawarchive.Archive("ARCHIVE", report, keeps)
    node = sending_node(stage, archive.port, commitment="required")
    archive.call = (node.port, "CLINIC_A")
    start(node)
    hospital.storescu(images(data, 4), node.port, "CLINIC_A")
    wait_states(node, {"committed": 4})
    assert len(archive.kept) == 4 and sorted(archive.times.values()) == [1, 1, 2, 2]
    assert events(node, "commit-failed") == 2 and events(node, "committed") == 4
    assert set(archive.answers) == {0}
    archive.close()


def test_what_is_never_kept_ends_as_a_dead_letter_and_the_rest_is_committed(stage, data):
    first = []

    def keeps(uid, _times):
        first.append(uid)
        return uid != first[0]
    archive = rawarchive.Archive("ARCHIVE", "same", keeps)
    node = sending_node(stage, archive.port, commitment=True)
    start(node)
    hospital.storescu(images(data, 3), node.port, "CLINIC_A")
    wait_states(node, {"committed": 2, "failed": 1}, 90)
    assert node.psql("SELECT cause FROM deliveries WHERE state = 'failed'") == [
        ["storage commitment: reason 0112H"]]
    assert archive.times[first[0]] == 4
    archive.close()


def test_a_report_that_comes_after_a_restart_counts(stage, data):
    archive = rawarchive.Archive("ARCHIVE", "never")
    node = sending_node(stage, archive.port, commitment=True)
    archive.call = (node.port, "CLINIC_A")
    start(node)
    hospital.storescu(images(data, 2), node.port, "CLINIC_A")
    hospital.wait_for("the request", lambda: len(archive.asked) == 1, 60, alive=node.program)
    hospital.wait_for("its row", lambda: count(
        node, "SELECT count(*) FROM commitments WHERE state = 'asked'") == 1, 60, alive=node.program)
    node.kill()
    start(node)
    archive.report = "other"
    unknown = message("2.25.1", [(CT, "1.2.3")])
    assert archive.tell(1, unknown) == 0x0112
    assert archive.tell(*archive.result(archive.asked[0])) == 0
    wait_states(node, {"committed": 2})
    archive.close()


def test_without_a_report_it_is_asked_again_and_then_shown(stage, data):
    archive = rawarchive.Archive("ARCHIVE", "never")
    node = sending_node(stage, archive.port, commitment="required", commitment_timeout="1 s")
    start(node)
    hospital.storescu(images(data, 2), node.port, "CLINIC_A")
    wait_states(node, {"failed": 2}, 90)
    assert len(archive.asked) == 3 and len({a.TransactionUID for a in archive.asked}) == 3
    assert node.psql("SELECT DISTINCT cause FROM deliveries") == [["storage commitment: no report in time"]]
    archive.close()


# ---- we are asked ----


def keeping_node(stage, **ct):
    node = stage.node("A", "CLINIC_A")
    node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"], may=["store", "commit"], **ct)
    node.peer("BEHIND", ae_title="BEHIND", host=hospital.LOOPBACK, port=hospital.free_port())
    node.rule(name="on", study_complete_after="1 h", send_to=["BEHIND"])
    start(node)
    return node


def uids(files):
    read = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
    return [(str(d.SOPClassUID), str(d.SOPInstanceUID)) for d in read]


def ask(one, transaction, items, number=1):
    """N-ACTION on context 1; the status."""
    one.pdata(1, raw.COMMAND | raw.LAST, rawarchive.action_command(number))
    one.pdata(1, raw.LAST, message(transaction, items))
    return one.status()


def hear(one):
    """The next message on the association, which is a report; answered with success."""
    context, request, body = next(rawarchive.messages(one))
    assert struct.unpack("<H", request[0x0100])[0] == rawarchive.EVENT_RQ
    one.pdata(context, raw.COMMAND | raw.LAST, rawarchive.response(request, 0))
    report = decoded(body)
    good = {str(i.ReferencedSOPInstanceUID) for i in report.get("ReferencedSOPSequence", [])}
    bad = {str(i.ReferencedSOPInstanceUID): i.FailureReason for i in report.get("FailedSOPSequence", [])}
    return struct.unpack("<H", request[0x1002])[0], str(report.TransactionUID), good, bad


def call(node, timeout=60):
    return raw.Association(node.port, "CLINIC_A", contexts=((COMMITMENT, [IMPLICIT_LE]),),
                                timeout=timeout * hospital.slow())


def reported(node, number):
    return lambda: count(node, "SELECT count(*) FROM commitment_requests WHERE state = 'reported'") == number


def test_a_modality_that_waits_hears_on_its_association_what_is_kept(stage, data):
    """Asked at once, when nothing may be indexed yet. One image is changed on the disk, one never came, one is
    asked for under another class."""
    node = keeping_node(stage)
    files = images(data, 4)
    items = uids(files)
    hospital.storescu(files, node.port, "CLINIC_A")
    with call(node) as one:
        assert ask(one, "2.25.11", items) == 0
        assert hear(one) == (1, "2.25.11", {i[1] for i in items}, {})
        hospital.wait_for("the end", reported(node, 1), alive=node.program)
        path = node.psql(f"SELECT path FROM instances WHERE sop_uid = '{items[0][1]}'")[0][0]
        with open(path, "r+b") as f:
            f.seek(-1, 2)
            last = f.read(1)
            f.seek(-1, 2)
            f.write(bytes([last[0] ^ 1]))
        wrong = [items[0], items[1], (CT, "1.2.3.4.5"), ("1.2.840.10008.5.1.4.1.1.4", items[2][1])]
        assert ask(one, "2.25.12", wrong, 2) == 0
        assert hear(one) == (2, "2.25.12", {items[1][1]}, {
            items[0][1]: 0x0110, "1.2.3.4.5": NO_SUCH_INSTANCE, items[2][1]: 0x0119})
        hospital.wait_for("the end", reported(node, 2), alive=node.program)
        one.release()
    assert "cannot be committed to" in node.log.read_text()


def test_a_request_outlives_the_association_and_the_node(stage, data):
    node = keeping_node(stage)
    files = images(data, 2)
    hospital.storescu(files, node.port, "CLINIC_A")
    with call(node) as one:
        assert ask(one, "2.25.21", uids(files)) == 0
    node.kill()
    start(node)
    with call(node, 120) as one:  # who had it in hand has died with it: its lease runs out first
        assert hear(one)[:3] == (1, "2.25.21", {u for _, u in uids(files)})
        hospital.wait_for("the end", reported(node, 1), alive=node.program)
        one.release()


def test_who_may_not_ask_and_what_is_no_request_is_refused(stage):
    node = stage.node("A", "CLINIC_A")
    node.peer("CT1", ae_title="CT1", may=["store"])
    node.peer("CT2", ae_title="CT2", may=["commit"])
    start(node)
    with call(node) as one:
        assert ask(one, "2.25.31", [(CT, "1.2.3")]) == 0x0124
    contexts = ((COMMITMENT, [IMPLICIT_LE]),)
    with raw.Association(node.port, "CLINIC_A", "CT2", contexts) as one:
        assert ask(one, "2.25.32", []) == 0x0115
        assert ask(one, "2.25.33", [(CT, "1.2.3'; DROP TABLE events")], 2) == 0x0115
        one.release()
    assert count(node, "SELECT count(*) FROM commitment_requests") == 0


@needs_orthanc
def test_orthanc_asks_us(stage, data):
    pacs = stage.orthanc("CT1")
    node = keeping_node(stage, host=hospital.LOOPBACK, port=pacs.port)
    pacs.modalities = {"a": ["CLINIC_A", hospital.LOOPBACK, node.port]}
    pacs.start()
    files = images(data, 3)
    hospital.storescu(files, pacs.port, "CT1")
    ids = pacs.ids()

    def post(path, body):
        request = urllib.request.Request(f"http://{hospital.LOOPBACK}:{pacs.http}{path}",
                                         json.dumps(body).encode(), method="POST")
        return json.loads(urllib.request.urlopen(request, timeout=60).read())

    def outcome(path):
        hospital.wait_for("Orthanc to hear", lambda: json.loads(pacs.get(path))["Status"] != "Pending", 60,
                          alive=node.program)
        return json.loads(pacs.get(path))
    post("/modalities/a/store", ids)
    path = post("/modalities/a/storage-commitment", {"DicomInstances": [
        {"SOPClassUID": c, "SOPInstanceUID": i} for c, i in uids(files)]})["Path"]
    told = outcome(path)
    assert told["Status"] == "Success" and len(told["Success"]) == 3
    path = post("/modalities/a/storage-commitment", {"DicomInstances": [
        {"SOPClassUID": CT, "SOPInstanceUID": "1.2.3.4"}]})["Path"]
    told = outcome(path)
    assert told["Status"] == "Failure" and told["Failures"][0]["FailureReason"] == NO_SUCH_INSTANCE
