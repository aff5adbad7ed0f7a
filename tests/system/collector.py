# SPDX-License-Identifier: Apache-2.0
"""An audit record repository: Debian's rsyslog, over TLS with certificates on both sides, into one file."""
import base64
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import hospital

SCHEMA = Path(__file__).with_name("audit-message.rng")
BOM = "\ufeff"


def openssl(*argv):
    subprocess.run(["openssl", *map(str, argv)], check=True, capture_output=True)


class Authority:
    """A certification authority of the hospital, which issues the collector's certificate."""

    def __init__(self, folder):
        self.folder, self.key, self.certificate = folder, folder / "ca.key", folder / "ca.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=hospital authority", "-keyout", self.key, "-out", self.certificate)

    def issue(self, name, san):
        key, request, certificate = (self.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={san}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
                "-days", "2", "-extfile", extensions, "-out", certificate)
        return key, certificate


class Collector:
    def __init__(self, stage, node, san="IP:127.0.0.1"):
        self.folder = stage.folder / "collector"
        self.folder.mkdir(mode=0o700)
        self.port, self.file = hospital.free_port(), self.folder / "messages"
        self.authority = Authority(self.folder)
        self.key, self.certificate = self.authority.issue("collector", san)
        trusted = self.folder / "trusted.pem"  # whom it takes messages from
        trusted.write_text(self.authority.certificate.read_text() + Path(node.certificate).read_text())
        (self.folder / "rsyslog.conf").write_text(
            f'global(workDirectory="{self.folder}" maxMessageSize="64k" defaultNetstreamDriver="ossl"\n'
            f'  defaultNetstreamDriverCAFile="{trusted}" defaultNetstreamDriverCertFile="{self.certificate}"\n'
            f'  defaultNetstreamDriverKeyFile="{self.key}" parser.escapeControlCharactersOnReceive="off"\n'
            f'  net.enableDNS="off")\n'
            f'module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")\n'
            f'template(name="raw" type="string" string="%rawmsg%\\n")\n'
            f'input(type="imtcp" port="{self.port}" address="{hospital.LOOPBACK}")\n'
            f'action(type="omfile" file="{self.file}" template="raw" flushOnTXEnd="on" asyncWriting="off")\n')
        self.program = None
        stage.made.append(self)
        node.audit = {"host": hospital.LOOPBACK, "port": self.port, "certificate": self.authority.certificate}

    def start(self):
        self.program = hospital.Program("rsyslog", ["rsyslogd", "-n", "-f", self.folder / "rsyslog.conf", "-i",
                                                    self.folder / "pid"], self.folder / "rsyslog.log")
        hospital.wait_for("rsyslog to listen", lambda: hospital.listening(self.port), alive=self.program)

    def stop(self):
        if self.program is not None:
            program, self.program = self.program, None
            program.stop()

    def lines(self):
        return self.file.read_text().splitlines() if self.file.exists() else []

    def messages(self):
        """Header fields and the document of each, in the order of arrival."""
        return [Message(line) for line in self.lines()]

    def of(self, event):
        return [m for m in self.messages() if m.event == event]


class Message:
    def __init__(self, line):
        header, self.xml = line.split(BOM, 1)
        self.header = header.split(" ")
        self.root = ElementTree.fromstring(self.xml.encode())
        identification = self.root.find("EventIdentification")
        self.event = identification.find("EventID").get("csd-code")
        kind = identification.find("EventTypeCode")
        self.type = None if kind is None else kind.get("csd-code")
        self.action, self.outcome = identification.get("EventActionCode"), identification.get("EventOutcomeIndicator")
        self.users = [(p.get("UserID"), p.get("UserIsRequestor") == "true") for p in self.root.iter("ActiveParticipant")]
        objects = {o.find("ParticipantObjectIDTypeCode").get("csd-code"): o
                   for o in self.root.iter("ParticipantObjectIdentification")}
        self.study = objects["110180"].get("ParticipantObjectID") if "110180" in objects else None
        self.patient = objects["2"].get("ParticipantObjectID") if "2" in objects else None
        self.instances = sum(int(c.get("NumberOfInstances")) for c in self.root.iter("SOPClass"))
        self.rows = []
        for detail in self.root.iter("ParticipantObjectDetail"):
            for part in base64.b64decode(detail.get("value")).decode().split(","):
                first, _, last = part.partition("-")
                self.rows += range(int(first), int(last or first) + 1)


def available():
    return all(shutil.which(p, path="/usr/sbin:/usr/bin:/sbin:/bin") for p in ("rsyslogd", "xmllint", "openssl"))


def invalid(messages, folder):
    """What xmllint says of those that do not keep to the schema; '' when all do."""
    paths = []
    for number, message in enumerate(messages):
        path = folder / f"message-{number:05}.xml"
        path.write_text(message.xml)
        paths.append(str(path))
    if not paths:
        return "there is no message"
    done = subprocess.run(["xmllint", "--noout", "--relaxng", str(SCHEMA), *paths], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr[-3000:]
