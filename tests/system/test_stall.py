# SPDX-License-Identifier: Apache-2.0
"""Peers that stall cost their own association, for as long as their timeout says, and nobody else anything."""
import signal
import socket
import subprocess
import threading

import pytest

import hospital
import phantom
import rawdicom

SLICES = 6
RETRY = {"first": "1 s", "factor": 1, "jitter": "0 %"}


class Mute:
    """Accepts TCP, and from then on neither reads nor says a word."""

    def __init__(self):
        self.listening = socket.create_server((hospital.LOOPBACK, hospital.free_port()))
        self.port = self.listening.getsockname()[1]
        self.taken = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                self.taken.append(self.listening.accept()[0])
            except OSError:
                return

    def close(self):
        if self.listening.fileno() < 0:
            return
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        for connection in self.taken:
            connection.close()


@pytest.fixture
def study(tmp_path):
    phantom.write_study(tmp_path / "study", slices=SLICES)
    return tmp_path / "study"


@pytest.fixture
def mute():
    one = Mute()
    yield one
    one.close()


def test_a_peer_that_never_answers_holds_up_no_other_and_is_served_when_it_is_back(stage, study, mute):
    a, good, late = stage.node("A", "CLINIC_A"), stage.storescp("GOOD"), stage.storescp("LATE")
    late.port = mute.port
    a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    a.peer("GOOD", ae_title="GOOD", host=hospital.LOOPBACK, port=good.port)
    a.peer("LATE", ae_title="LATE", host=hospital.LOOPBACK, port=mute.port, timeout="1 s", retry=RETRY)
    a.rule(name="both", when={"calling_ae": ["CT1"]}, study_complete_after="1 s", send_to=["GOOD", "LATE"])
    good.start()
    a.start()
    hospital.storescu(study, a.port, "CLINIC_A")
    hospital.wait_for("the other peer's copies", lambda: len(good.files()) == SLICES, 60, alive=a.program)
    hospital.wait_for("a second try", lambda: len(mute.taken) >= 2, 60, alive=a.program)
    states = a.psql("SELECT DISTINCT state FROM deliveries WHERE peer = 'LATE'")
    assert {s for s, in states} <= {"ready", "leased"}
    mute.close()
    late.start()
    hospital.wait_for("the late copies", lambda: len(late.files()) == SLICES, 90, alive=a.program)


def test_a_modality_that_stalls_is_ended_while_others_are_served(stage, study):
    a = stage.node("A", "CLINIC_A")
    a.node["dicom"]["timeout"] = "2 s"
    a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    a.start()
    stalled = rawdicom.pdv(1, 0, b"abcd", claimed=1000)
    with rawdicom.Wire(a.port) as silent, rawdicom.Association(a.port, "CLINIC_A") as half:
        half.send_pdu(rawdicom.P_DATA, rawdicom.pdv(1, 3, rawdicom.store_command(rawdicom.CT, "1.2.3")))
        half.send_pdu(rawdicom.P_DATA, stalled, claimed=1006)
        hospital.storescu(study, a.port, "CLINIC_A")
        for one in (silent, half):
            one.socket.settimeout(30 * hospital.slow())
        assert half.ending() == rawdicom.ABORT
        assert silent.ending() == 0
    hospital.wait_for("the study", lambda: len(a.archive()) == SLICES, 60, alive=a.program)


def test_sighup_lets_a_new_certificate_in_at_the_tls_port(stage):
    a, b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
    b.start()

    def let_in():
        return subprocess.run(["echoscu", "+tls", a.key, a.certificate, "+cf", b.certificate, "-aet", "CLINIC_A",
                               "-aec", "CLINIC_B", hospital.LOOPBACK, str(b.tls_port)],
                              capture_output=True).returncode == 0
    assert not let_in()
    b.peer_node("CLINIC_A", a)
    b.write_config()
    b.program.signal(signal.SIGHUP)
    hospital.wait_for("the reload", lambda: "was read again" in b.log.read_text(), alive=b.program)
    assert let_in()
