# SPDX-License-Identifier: Apache-2.0
"""Whoever watches a node finds what it did in /metrics, and in /health whether it takes images."""
import json
import re
import socket

import pydicom
import pytest

import hospital
import prometheus
from test_rules import IMAGES, One

PAGE = hospital.ROOT / "docs" / "watching.md"


def metrics(node):
    status, headers, text = node.http("/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return prometheus.parse(text)


def ready(node):
    status, headers, text = node.http("/health/ready")
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(text)


def bare(stage, **node):
    one = stage.node("A", "CLINIC_A")
    one.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    one.node.update(node)
    return one


@pytest.fixture
def sent(stage, data):
    one = One(stage)
    one.start()
    files = [data / "ct" / "ge-hispeed" / name for name in IMAGES]
    one.send(files)
    one.settled()
    return one, files


def test_what_was_received_hidden_and_sent_is_counted(sent):
    one, files = sent
    series, _ = hospital.wait_for("the outcomes", lambda: (
        lambda m: m if m[0].get('dicomstego_delivery_attempts_total{peer="BEHIND",outcome="sent"}') == 3
        and m[0].get('dicomstego_deliveries{peer="BEHIND",state="ready"}') == 0
        and m[0].get("dicomstego_database_up") == 1 else None)(metrics(one.node)), 30)
    assert series['dicomstego_received_instances_total{calling_ae="CT1"}'] == 3
    size = sum(f.stat().st_size for f in files)
    assert 0.9 * size < series['dicomstego_received_bytes_total{calling_ae="CT1"}'] <= size
    assert series['dicomstego_store_answers_total{status="0000"}'] == 3
    assert series["dicomstego_associations_total"] == 1
    assert series["dicomstego_associations_open"] == 0
    assert series["dicomstego_intake_seconds_count"] == 3
    assert series["dicomstego_indexed_instances_total"] == 3
    assert series["dicomstego_index_lag_seconds"] == 0
    assert series["dicomstego_studies_completed_total"] == 1
    assert series["dicomstego_protect_seconds_count"] == 3
    assert series["dicomstego_prove_seconds_count"] == 3
    assert series['dicomstego_send_seconds_count{peer="BEHIND"}'] == 3
    assert series['dicomstego_sent_bytes_total{peer="BEHIND"}'] > 0.9 * size
    assert series['dicomstego_oldest_undelivered_seconds{peer="BEHIND"}'] == 0
    assert series["dicomstego_spool_free_bytes"] > 0
    assert series["process_resident_memory_bytes"] > 1 << 20
    assert series["process_open_fds"] > 3


def test_nobody_learns_of_patients_or_studies(sent):
    one, files = sent
    text = one.node.http("/metrics")[2] + one.node.http("/health/ready")[2]
    ds = pydicom.dcmread(str(files[0]), stop_before_pixels=True)
    for value in (ds.StudyInstanceUID, ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.PatientID, ds.PatientName):
        assert not str(value) or str(value) not in text
    assert not re.search(r"\d+\.\d+\.\d+\.\d+\.\d+", text), "a UID"


def test_the_page_about_metrics_has_each_of_them_with_its_type_and_no_other(stage):
    one = bare(stage)
    one.start()
    _, types = metrics(one)
    rows = dict(re.findall(r"^\| `([a-z_]+)`[^|]*\| (counter|gauge|histogram) \|", PAGE.read_text(), re.MULTILINE))
    assert rows == types


def test_the_alarms_speak_of_metrics_that_there_are(stage):
    one = bare(stage)
    one.start()
    _, types = metrics(one)
    text = (hospital.ROOT / "packaging" / "prometheus-alerts.yaml").read_text()
    used = set(re.findall(r"\bdicomstego_[a-z_]+", "\n".join(re.findall(r"expr: (.*)", text))))
    assert len(used) > 5 and used <= set(types)


def test_without_a_database_a_node_is_ready_and_says_so(stage):
    one = bare(stage)
    one.write_config = lambda: one.config_path.write_text(hospital.yaml({
        "node": one.node, "peers": one.peers, "database": {"url": "postgresql://127.0.0.1:1/none"}}))
    one.start()
    status, health = ready(one)
    assert (status, health["status"], health["database"]) == (200, "ready", "down")
    assert health["dicom"] == one.port
    assert one.http("/health/live")[0] == 200
    hospital.wait_for("the first look", lambda: metrics(one)[0].get("dicomstego_database_up") == 0, 30)


def test_a_node_without_room_is_alive_and_not_ready(stage):
    one = bare(stage, min_free="1000 TB")
    one.start()
    status, health = ready(one)
    assert (status, health["reason"]) == (503, "free space is below node.min_free")
    assert one.http("/health/live")[0] == 200


def test_a_web_port_that_is_taken_is_no_reason_not_to_take_images(stage, data):
    one = bare(stage)
    with socket.socket() as taken:
        taken.bind((hospital.LOOPBACK, one.web_port))
        taken.listen()
        one.start()
        assert json.loads((one.state / "ports.json").read_text())["web"] == 0
        hospital.storescu(data / "ct" / "ge-hispeed" / IMAGES[0], one.port, "CLINIC_A")
    hospital.wait_for("the web port", lambda: json.loads((one.state / "ports.json").read_text())["web"] == one.web_port,
                      40, alive=one.program)
    assert metrics(one)[0]['dicomstego_received_instances_total{calling_ae="CT1"}'] == 1


def test_port_0_is_no_web_port(stage):
    one = bare(stage, web={"port": 0})
    one.start()
    assert json.loads((one.state / "ports.json").read_text())["web"] == 0
    assert not hospital.listening(one.web_port)


def test_callers_who_are_not_known_are_counted_without_their_names(stage):
    one = bare(stage)
    one.start()
    with pytest.raises(hospital.Failed):
        hospital._send(["echoscu", "-aet", "STRANGER", "-aec", "CLINIC_A", hospital.LOOPBACK, one.port])
    series, _ = metrics(one)
    assert series['dicomstego_associations_refused_total{reason="calling AE title"}'] == 1
    assert "STRANGER" not in one.http("/metrics")[2]


def test_the_log_as_json_is_one_object_a_line_and_names_nobody(stage, data):
    one = One(stage)
    one.node.node["log"] = {"format": "json"}
    one.start()
    files = [data / "ct" / "ge-hispeed" / name for name in IMAGES]
    ds = pydicom.dcmread(str(files[0]), stop_before_pixels=True)
    one.node.drop_report(f"{ds.StudyInstanceUID}.txt", b"no findings")
    one.node.drop_report(f"{ds.StudyInstanceUID}--empty.txt", b"")
    one.send(files)
    one.settled()
    hospital.wait_for("the empty report's refusal", lambda: "is refused" in one.node.log.read_text(), 30)
    text = one.node.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(list(line)[:3] == ["time", "level", "area"] and list(line)[-1] == "message" for line in lines)
    assert all(isinstance(value, str) for line in lines for value in line.values())
    assert [line for line in lines if line.get("peer") == "CT1" and "assoc" in line and line.get("stored") == "3"]
    assert [line for line in lines if line.get("rule") == "on" and line["message"] == "" and line["deliveries"] == "3"]
    assert not re.search(r"\d+(\.\d+){4,}", text), "a UID"
    for value in (ds.PatientID, ds.PatientName, ds.get("AccessionNumber", "")):
        assert not str(value) or str(value) not in text
