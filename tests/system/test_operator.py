# SPDX-License-Identifier: Apache-2.0
"""What an operator sees and does with `dicomstego delivery`, `study` and `peer` on a running node."""
import json
import os
import pwd
import re
import socket
import stat
import subprocess
import time

import pytest

import hospital
from test_rules import IMAGES, One
from test_two_hospitals import study_uid

USER = pwd.getpwuid(os.geteuid()).pw_name


def run(*argv):
    return subprocess.run([hospital.binary("dicomstego"), *map(str, argv)], capture_output=True, text=True)


class Operator:
    def __init__(self, node):
        self.node = node

    def __call__(self, *argv, code=0):
        done = run(*argv, "--config", self.node.config_path)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    def json(self, *argv, code=0):
        done = run(*argv, "--json", "--config", self.node.config_path)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def states(self):
        return [d["state"] for d in self.json("delivery", "list")]


class Queue:
    """A node with three images for a receiver that is not there."""

    def __init__(self, stage, data):
        self.one = One(stage, protect=False)
        self.folder = data / "ct" / "ge-hispeed"
        self.uid = study_uid(self.folder)
        self.do = Operator(self.one.node)

    def fill(self):
        self.one.start(receiver=False)
        self.one.send([self.folder / name for name in IMAGES])
        self.one.planned()

    def start(self):
        self.one.receiver.start()

    def peer(self):
        return next(p for p in self.do.json("peer", "list") if p["peer"] == "BEHIND")

    def delivered(self):
        hospital.wait_for("the deliveries", lambda: set(self.do.states() or ["?"]) <= {"sent", "cancelled"}, 60,
                          alive=self.one.node.program)
        return len(self.one.receiver.files())

    def events(self, kind):
        return [actor for (actor,) in self.one.node.psql(f"SELECT actor FROM events WHERE kind = '{kind}' ORDER BY id")]


@pytest.fixture
def queue(stage, data):
    return Queue(stage, data)


def fits_a_terminal(text):
    return all(len(line) <= 80 for line in text.splitlines())


def test_what_a_peer_that_is_away_is_owed_is_shown_and_sent_at_once_when_it_is_back(queue):
    # Once it is away, nobody asks again for an hour: but for an operator.
    queue.one.node.peers["BEHIND"].update(retry={"first": "1 h", "cap": "1 h"}, circuit_after=1)
    queue.fill()
    away = hospital.wait_for("the circuit to open", lambda: (
        lambda p: p if p["circuit"] == "open" else None)(queue.peer()), 60)
    assert away["cause"] and away["failures"] and away["next_try"]
    rows = queue.do.json("delivery", "list", "--peer", "BEHIND")
    assert [r["study"] for r in rows] == [queue.uid] * 3
    assert {r["state"] for r in rows} <= {"ready", "leased"}
    assert queue.do.json("delivery", "list", "--peer", "ELSEWHERE") == []
    assert queue.do.json("delivery", "list", "--state", "sent") == []
    assert len(queue.do.json("delivery", "list", "--study", queue.uid, "--limit", 2)) == 2
    table = queue.do("delivery", "list")
    assert fits_a_terminal(table) and table.splitlines()[0].split() == ["ID", "PEER", "STATE", "TRIES", "STATUS", "CAUSE"]
    assert len(table.splitlines()) == 4
    assert queue.do.json("delivery", "show", rows[0]["id"])["study"] == queue.uid
    assert queue.uid in queue.do("delivery", "show", rows[0]["id"])
    queue.start()
    assert "are asked again" in queue.do("delivery", "retry", "--peer", "BEHIND")
    assert queue.delivered() == 3
    assert queue.do.json("delivery", "show", rows[0]["id"])["history"][-1]["outcome"] == "sent"


def test_what_is_cancelled_is_not_sent_until_it_is_asked_for_by_number(queue):
    queue.fill()
    first, *others = [d["id"] for d in queue.do.json("delivery", "list")]
    queue.do("peer", "pause", "BEHIND")
    hospital.wait_for("nothing on its way", lambda: "leased" not in queue.do.states(), 60)
    assert queue.do.json("delivery", "cancel", first, "--reason", "sent by post") == {"count": 1}
    assert queue.do.states().count("cancelled") == 1
    assert queue.events("cancelled") == [f"operator {USER}"]
    assert queue.do.json("delivery", "show", first)["cause"] == "sent by post"
    queue.start()
    queue.do("peer", "resume", "BEHIND")
    queue.do("delivery", "retry", "--peer", "BEHIND")
    assert queue.delivered() == 2
    assert queue.do.json("delivery", "retry", "--all")["count"] == 0
    assert queue.do.json("delivery", "retry", first) == {"count": 1}
    assert queue.events("requeued") == [f"operator {USER}"]
    assert queue.delivered() == 3
    assert "none of these" in queue.do("delivery", "cancel", first, code=1)


def test_nothing_is_sent_to_a_paused_peer_and_all_of_it_after(queue):
    queue.one.start()
    queue.do("peer", "pause", "BEHIND", "--reason", "their archive moves")
    assert queue.do.json("peer", "pause", "BEHIND") == {"peer": "BEHIND", "paused": True, "changed": False}
    queue.one.send([queue.folder / name for name in IMAGES])
    queue.one.planned()
    time.sleep(3)
    assert queue.do.states() == ["ready"] * 3
    assert queue.one.receiver.files() == []
    peers = {p["peer"]: p for p in queue.do.json("peer", "list")}
    assert peers["BEHIND"]["paused"] and peers["BEHIND"]["reason"] == "their archive moves"
    assert peers["BEHIND"]["paused_by"] == f"operator {USER}"
    assert peers["BEHIND"]["deliveries"]["ready"] == 3 and peers["BEHIND"]["oldest_seconds"] > 2
    assert not peers["CT1"]["paused"] and peers["CT1"]["host"] is None
    assert fits_a_terminal(queue.do("peer", "list"))
    assert "not paused" in queue.do("peer", "resume", "BEHIND")
    assert queue.delivered() == 3
    assert queue.events("peer-paused") == queue.events("peer-resumed") == [f"operator {USER}"]


def test_an_echo_says_whether_a_peer_answers(queue):
    queue.one.start(receiver=False)
    answer = queue.do.json("peer", "echo", "BEHIND", code=1)
    assert not answer["answered"] and answer["cause"]
    assert "did not answer" in queue.do("peer", "echo", "BEHIND", code=1)
    queue.start()
    answer = queue.do.json("peer", "echo", "BEHIND")
    assert answer["answered"] and 0 < answer["ms"] < 30000
    assert re.fullmatch(r"BEHIND answered after [\d.]+ ms\n", queue.do("peer", "echo", "BEHIND"))
    assert "has no host" in queue.do("peer", "echo", "CT1", code=2)
    assert "no such peer" in queue.do("peer", "echo", "NOBODY", code=1)


def test_a_study_is_shown_peer_by_peer_and_goes_when_the_operator_says_it_is_complete(stage, data):
    queue = Queue(stage, data)
    queue.one.node.rules[0]["study_complete_after"] = "30 min"
    queue.one.start()
    queue.one.send([queue.folder / name for name in IMAGES])
    hospital.wait_for("the rows", lambda: queue.do.json("study", "list") and
                      queue.do.json("study", "list")[0]["instances"] == 3, 30)
    study = queue.do.json("study", "list")[0]
    assert (study["study"], study["state"], study["unplanned"]) == (queue.uid, "receiving", 3)
    assert fits_a_terminal(queue.do("study", "list"))
    assert queue.do.json("study", "show", study["id"]) == queue.do.json("study", "show", queue.uid)
    assert queue.do.json("study", "show", queue.uid)["peers"] == []
    assert queue.uid in queue.do("study", "complete", queue.uid)
    assert queue.delivered() == 3
    shown = hospital.wait_for("the study's state", lambda: (
        lambda s: s if s["state"] == "delivered" else None)(queue.do.json("study", "show", queue.uid)), 30)
    assert [(p["peer"], p["deliveries"]["sent"]) for p in shown["peers"]] == [("BEHIND", 3)]
    assert queue.events("complete-asked") == [f"operator {USER}"]
    assert "no study" in queue.do("study", "complete", "1.2.3", code=1)
    assert "no study" in queue.do("study", "show", "999999", code=1)


def test_a_wrong_command_says_what_would_be_right(queue):
    queue.one.start(receiver=False)
    for argv in (["delivery"], ["delivery", "eat"], ["delivery", "show"], ["delivery", "show", "x"],
                 ["delivery", "list", "--limit", "0"], ["delivery", "list", "--reason", "x"], ["peer", "echo"],
                 ["peer", "list", "BEHIND"], ["study", "show", "1", "2"], ["delivery", "retry", "1x"],
                 ["delivery", "list", "--state", "lost"], ["delivery", "retry"], ["delivery", "cancel"],
                 ["delivery", "retry", "--all", "--peer", "BEHIND"], ["delivery", "list", "--limit", "99999999"]):
        done = run(*argv, "--config", queue.one.node.config_path)
        assert (done.returncode, done.stdout) == (2, ""), argv
        assert done.stderr.startswith("dicomstego ") or done.stderr.startswith("dicomstego: "), argv
    assert "which deliveries?" in queue.do("delivery", "cancel", code=2)
    assert "no delivery 77" in queue.do("delivery", "show", 77, code=1)


def test_without_a_node_the_command_says_what_to_do(tmp_path):
    done = run("peer", "list", "--socket", tmp_path / "none.sock")
    assert done.returncode == 1 and "no node is running" in done.stderr and "--socket" in done.stderr
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    done = run("peer", "list", "--socket", tmp_path / "dead.sock")
    assert done.returncode == 1 and "no node is running" in done.stderr
    done = run("peer", "list", "--config", tmp_path / "none.yaml")
    assert done.returncode == 2 and "none.yaml" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_is_not_of_the_group_may_not_command_and_who_is_may(queue):
    path = queue.one.node.state / "control.sock"

    def as_nobody(*argv):
        return subprocess.run([hospital.binary("dicomstego"), *argv, "--socket", str(path)], capture_output=True,
                              text=True, user="nobody", group="nogroup", extra_groups=[])

    queue.one.start(receiver=False)
    done = as_nobody("peer", "list")
    assert done.returncode == 1 and "node.control_group" in done.stderr
    queue.one.node.stop()
    queue.one.node.node["control_group"] = "nogroup"
    queue.one.start(receiver=False)
    hospital.wait_for("the database", lambda: as_nobody("peer", "pause", "BEHIND").returncode == 0, 30)
    assert queue.events("peer-paused") == ["operator nobody"]
    queue.one.node.stop()
    queue.one.node.node["control_group"] = "no-such-group"
    queue.one.node.write_config()
    done = subprocess.run([hospital.binary("dicomstegod"), "--config", str(queue.one.node.config_path)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "no group" in done.stderr


def test_the_socket_is_the_nodes_own_and_survives_garbage_and_a_kill(queue):
    queue.one.start(receiver=False)
    path = queue.one.node.state / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    for sent in (b"", b"\x00\xff\n", b"{" * 70000, b'{"version":1,"verb":"peer list"}'):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            try:
                s.sendall(sent)
            except OSError:
                pass
    assert queue.do.json("peer", "list")
    queue.one.node.kill()
    assert path.exists() and "no node is running" in queue.do("peer", "list", code=1)
    queue.one.node.start()
    hospital.wait_for("the database", lambda: run("peer", "list", "--socket", path).returncode == 0, 30)
    queue.one.node.stop()
    assert not path.exists()
