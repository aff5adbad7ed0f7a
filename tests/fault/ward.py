# SPDX-License-Identifier: Apache-2.0
"""Two ways through the house that the scenarios share.

    Relay: senders -> node A -> sink                   as it is, byte for byte
    Pair:  senders -> node A ~ carriers, TLS ~> node B -> sink   hidden, proven, restored
"""
import subprocess

import hospital
from flow import CALLING_AE
from sink import Sink

QUIET = "1 s"
REPORT = b"Findings: a flow.\nImpression: it flows.\n"


def _sender(node):
    node.peer("CT1", ae_title=CALLING_AE, hosts=[hospital.LOOPBACK])


def add_sink(stage, ae_title="SINK"):
    return stage._add(Sink(ae_title))


class Relay:
    def __init__(self, stage, associations=2, nodes=("A",), **sink):
        self.sink = add_sink(stage)
        self.nodes = [stage.node(name, f"CLINIC_{name}") for name in nodes]
        for node in self.nodes:
            _sender(node)
            node.peer("SINK", ae_title="SINK", host=hospital.LOOPBACK, port=self.sink.port,
                      associations=associations, **sink)
            node.rule(name="pass on", when={"calling_ae": [CALLING_AE]}, study_complete_after=QUIET,
                      send_to=["SINK"])
        self.a, self.b = self.nodes[0], self.nodes[-1]

    def start(self):
        self.sink.start()
        for node in self.nodes:
            node.start()

    def targets(self):
        return [(node.port, node.ae_title) for node in self.nodes]


class Pair:
    def __init__(self, stage, associations=2):
        self.sink = add_sink(stage)
        self.a, self.b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
        self.nodes = [self.a, self.b]
        _sender(self.a)
        self.a.peer_node("CLINIC_B", self.b, associations=associations)
        self.b.peer_node("CLINIC_A", self.a)
        self.b.peer("SINK", ae_title="SINK", host=hospital.LOOPBACK, port=self.sink.port,
                    associations=associations)
        self.a.rule(name="to B", when={"calling_ae": [CALLING_AE]}, study_complete_after=QUIET,
                    report={"wait": "3 s", "otherwise": "send_without"},
                    protect={"payload": "report", "recipients": ["CLINIC_B"], "redundancy": "25 %",
                             "unsuitable": "sidecar"},
                    send_to=["CLINIC_B"])
        self.b.rule(name="from A", when={"carrier": True}, study_complete_after=QUIET,
                    recover={"report_as": "dicom", "unrecoverable": "quarantine"}, send_to=["SINK"])

    def start(self):
        self.sink.start()
        self.b.start()
        self.a.start()

    def targets(self):
        return [(self.a.port, self.a.ae_title)]

    def drop_reports(self, studies):
        """A report for each study; each differs, as reports do."""
        for study in studies:
            self.a.drop_report(f"{study[0].study}.txt", REPORT + study[0].study.encode())


def retry_failed(node):
    """What an operator does with the dead letters."""
    done = subprocess.run([hospital.binary("dicomstego"), "delivery", "retry", "--state", "failed",
                           "--config", str(node.config_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
