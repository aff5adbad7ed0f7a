# SPDX-License-Identifier: Apache-2.0
"""Audit messages (PS3.15 A.5) as a real rsyslog receives them over TLS: which, in what form, and that none is lost."""
import shutil
import subprocess

import pydicom
import pytest

import collector
import hospital
from collector import Collector
from test_operator import Operator
from test_quarantine import WHY, nameless, start_again
from test_rules import One
from test_two_hospitals import files_of, small_study, study_uid  # noqa: F401 a fixture

pytestmark = pytest.mark.skipif(not collector.available(), reason="rsyslog, xmllint or openssl is not installed")

TOLD = ("received", "planned", "sent", "node-started", "node-stopped", "quarantined", "association-refused",
        "released", "discarded", "exported", "send-failed", "requeued", "cancelled", "peer-paused", "peer-resumed")


def rows_to_tell(node):
    kinds = ", ".join(f"'{kind}'" for kind in TOLD)
    return {int(row) for (row,) in node.psql(f"SELECT id FROM events WHERE kind IN ({kinds}) AND NOT "
                                             "(kind = 'cancelled' AND actor NOT LIKE 'operator %')")}


def all_told(one, repository):
    """When the repository has every event that is to be told."""
    def look():
        told = {row for m in repository.messages() for row in m.rows}
        return not rows_to_tell(one.node) - told
    hospital.wait_for("everything to be told", look, 60, alive=one.node.program)


def test_a_study_is_told_as_one_transfer_in_and_one_out(stage, small_study, tmp_path):
    one = One(stage, protect=False)
    repository = Collector(stage, one.node)
    repository.start()
    one.start()
    source = files_of(small_study)
    first = pydicom.dcmread(str(source[0]))
    one.send(source)
    one.settled()
    all_told(one, repository)
    assert collector.invalid(repository.messages(), tmp_path) == ""
    [started] = repository.of("110100")
    assert started.type == "110120" and started.users == [("CLINIC_A", True)]
    assert repository.messages()[0].event == "110100"
    [begin] = repository.of("110102")
    assert begin.users == [("CLINIC_A", True), ("BEHIND", False)]
    came, went = repository.of("110104")
    for message, users in ((came, [("CT1", True), ("CLINIC_A", False)]), (went, [("CLINIC_A", True), ("BEHIND", False)])):
        assert message.users == users and message.action == "C" and message.outcome == "0"
        assert message.study == study_uid(small_study) and message.patient == str(first.PatientID)
        assert message.instances == len(source) == len(message.rows)
    pri, *_, application, _, message_id, structured, _ = came.header
    assert pri == "<85>1" and application == "dicomstegod" and message_id == "DICOM+RFC3881" and structured == "-"
    # The names of people are not told.
    assert str(first.PatientName) not in repository.file.read_text()


def test_alerts_operators_and_refusals_are_told_in_valid_messages(stage, small_study, tmp_path):
    one = One(stage, protect=False)
    repository = Collector(stage, one.node)
    repository.start()
    one.node.peer("PARTNER", ae_title="PARTNER", tls="mutual", certificate=one.node.certificate)
    one.start()
    path, _ = nameless(files_of(small_study)[0], tmp_path)
    one.send([path])
    do = Operator(one.node)
    hospital.wait_for("the quarantine", lambda: do.json("quarantine", "list"), 60)
    [row] = do.json("quarantine", "list")
    do("quarantine", "show", row["id"], "--output", tmp_path / "out.dcm")
    do("quarantine", "discard", row["id"], *WHY)
    do("peer", "pause", "BEHIND", "--reason", "<&\" a test")
    do("peer", "resume", "BEHIND")
    for _ in range(3):
        refused = subprocess.run(["echoscu", "-aet", "STRANGER<&", "-aec", "CLINIC_A", hospital.LOOPBACK,
                                  str(one.node.port)], capture_output=True)
        assert refused.returncode != 0
    key, certificate = hospital.new_key(stage.folder, "stranger")
    refused = subprocess.run(["echoscu", "+tls", str(key), str(certificate), "+cf", str(one.node.certificate), "-aet", "CT1",
                              "-aec", "CLINIC_A", hospital.LOOPBACK, str(one.node.tls_port)], capture_output=True)
    assert refused.returncode != 0
    hospital.wait_for("both refusals", lambda: len(one.node.psql(
        "SELECT DISTINCT actor FROM events WHERE kind = 'association-refused'")) == 2, 30)
    all_told(one, repository)
    folder = tmp_path / "xml"
    folder.mkdir()
    assert collector.invalid(repository.messages(), folder) == ""
    assert [m.outcome for m in repository.of("110113") if m.type == "110135"] == ["4"]
    user = do.json("quarantine", "list", "--all")[0]["decided_by"].removeprefix("operator ")
    [export] = repository.of("110106")
    assert (user, True) in export.users
    [gone] = repository.of("110105")
    assert gone.action == "D" and (user, True) in gone.users
    acts = [m for m in repository.of("110113") if m.type == "110132"]
    assert len(acts) == 2 and all((user, True) in m.users for m in acts)
    assert ("unknown", True) in [m.users[0] for m in repository.of("110114")]  # TLS let it say no name
    stranger = next(m for m in repository.of("110114") if m.users[0][0] != "unknown")
    assert stranger.users[0] == ("STRANGER<&", True) and stranger.outcome == "4" and stranger.type == "110126"
    assert 'NetworkAccessPointID="127.0.0.1"' in stranger.xml


def test_a_repository_that_goes_and_comes_misses_nothing(stage, data):
    one = One(stage, protect=False)
    repository = Collector(stage, one.node)
    repository.start()
    one.start()
    images = files_of(data / "ct" / "ge-hispeed")
    one.send(images[:3])
    one.settled()
    all_told(one, repository)
    repository.stop()
    one.send(images[3:6])  # nothing waits for it
    one.settled(2)
    assert len(one.receiver.files()) == 6
    hospital.wait_for("the node to notice", lambda: "audit messages wait in the log" in one.node.log.read_text(), 60)
    one.node.kill()
    start_again(one.node)
    one.send(images[6:9])
    one.settled(3)
    repository.start()
    all_told(one, repository)
    assert "the audit repository is reached again" in one.node.log.read_text()
    # In order: whoever leaves out what comes twice has each row once, and none before an earlier one.
    order = []
    for message in repository.messages():
        if message.event == "110104" and message.users[0][0] == "CT1":
            order += [row for row in message.rows if row not in order]
    assert order == sorted(order) and len(order) == 9


def test_a_repository_that_is_somebody_else_is_told_nothing(stage, small_study):
    one = One(stage, protect=False)
    repository = Collector(stage, one.node, san="DNS:elsewhere.example")
    repository.start()
    one.start()
    hospital.wait_for("the refusal", lambda: "a certificate of another name" in one.node.log.read_text(), 60,
                      alive=one.node.program)
    # Nor one that nobody has issued.
    other = hospital.new_key(stage.folder, "other")
    shutil.copyfile(other[1], one.node.audit["certificate"])
    one.node.stop()
    start_again(one.node)
    hospital.wait_for("the refusal", lambda: "TLS with the audit repository failed" in one.node.log.read_text(), 60,
                      alive=one.node.program)
    assert repository.lines() == []
