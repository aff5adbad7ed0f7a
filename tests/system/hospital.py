# SPDX-License-Identifier: Apache-2.0
"""Starts and stops what a hospital has: our node, a PACS (dcmqrscp or Orthanc), a receiver, modalities.

Shared by the system tests, bench/relay.py and scripts/demo: add what your test needs, keep the names.
Everything runs on loopback, on free ports, in a folder that the caller gives, and is stopped by process
group. Where the programs under test lie: $DICOMSTEGO_BUILD, else build/release.

    with Stage(folder) as stage:
        a = stage.node("A", "CLINIC_A")          # keys are made, nothing runs yet
        b = stage.node("B", "CLINIC_B")
        pacs = stage.dcmqrscp("PACS")
        a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        a.peer_node("CLINIC_B", b)               # mutual TLS, certificate exchanged
        a.rule(name="send", when={...}, protect={...}, send_to=["CLINIC_B"])
        pacs.start(); b.start(); a.start()
        storescu(files, a, calling="CT1")
"""
import ctypes
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """Something that should have happened did not; the text says what and where the log is."""


def build_folder():
    return Path(os.environ.get("DICOMSTEGO_BUILD") or ROOT / "build" / "release").resolve()


def binary(name):
    path = build_folder() / name
    if not path.exists():
        raise Failed(f"{path} is not there: build first, or set DICOMSTEGO_BUILD")
    return str(path)


def data_folder():
    """The real test data, or None where there is none."""
    folder = Path(os.environ.get("DICOMSTEGO_TEST_DATA") or ROOT / ".." / "shared" / "data")
    return folder.resolve() if (folder / "manifest.tsv").exists() else None


def slow():
    """How much longer a wait may take: the sanitizers make programs several times slower."""
    return float(os.environ.get("DICOMSTEGO_TEST_PATIENCE", "1"))


_given = set()


def free_port():
    """Below the ephemeral range, so that no outgoing connection takes it before its owner listens."""
    rng = random.SystemRandom()
    while True:
        port = rng.randrange(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as s:
            try:
                s.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port


def wait_for(what, condition, timeout=30.0, every=0.1, alive=None):
    """Polls until condition() is true and returns its value. alive: a Program that must keep running."""
    end = time.monotonic() + timeout * slow()
    while True:
        value = condition()
        if value:
            return value
        if alive is not None and not alive.running():
            raise Failed(f"{alive.name} ended while waiting for {what}\n{alive.log_tail()}")
        if time.monotonic() > end:
            tail = "\n" + alive.log_tail() if alive is not None else ""
            raise Failed(f"waited {timeout * slow():.0f} s in vain for {what}{tail}")
        time.sleep(every)


def listening(port):
    with socket.socket() as s:
        s.settimeout(0.5)
        return s.connect_ex((LOOPBACK, port)) == 0


class Program:
    """One child process in a process group of its own, its output in a log file."""

    def __init__(self, name, argv, log, env=None, detached=False):
        self.name, self.log = name, Path(log)
        self._out = open(self.log, "ab")

        def in_child():
            # Whoever started us may be killed: then this child must not stay behind.
            if not detached:
                _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

        self.process = subprocess.Popen(
            [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._out,
            start_new_session=True, preexec_fn=in_child, env={**os.environ, **(env or {})})
        self.pid = self.process.pid

    def running(self):
        return self.process.poll() is None

    def log_tail(self, lines=25):
        text = self.log.read_text(errors="replace").splitlines()
        return f"--- {self.log}\n" + "\n".join(text[-lines:])

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=20.0):
        """SIGTERM, then SIGKILL for whatever is left of the group. Returns the exit status."""
        if self.running():
            self.process.terminate()
        try:
            status = self.process.wait(timeout * slow())
        except subprocess.TimeoutExpired:
            status = None
        self.kill_group()
        self._out.close()
        return self.process.wait() if status is None else status

    def kill_group(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def new_key(folder, name, *options):
    """A key pair by the program under test: (key, certificate) as paths."""
    folder = Path(folder)
    key, certificate = folder / f"{name}.key.pem", folder / f"{name}.cert.pem"
    done = subprocess.run([binary("dicomstego"), "key", "new", "--name", name, "--key", key,
                           "--certificate", certificate, *options], capture_output=True, text=True)
    if done.returncode != 0 or not key.exists() or not certificate.exists():
        raise Failed(f"dicomstego key new failed ({done.returncode}): {done.stderr.strip()}")
    return key, certificate


def yaml(value, indent=0):
    """JSON is YAML, but a configuration that a person reads after --keep should look like one."""
    pad = "  " * indent
    if isinstance(value, dict):
        out = ""
        for k, v in value.items():
            nested = isinstance(v, (dict, list)) and v and not _flat(v)
            out += f"{pad}{k}:" + ("\n" + yaml(v, indent + 1) if nested else f" {_flow(v)}\n")
        return out
    out = ""
    for item in value:
        first = yaml(item, indent + 1)
        out += pad + "- " + first[len(pad) + 2:]
    return out


def _flat(value):
    values = value.values() if isinstance(value, dict) else value
    return all(not isinstance(v, (dict, list)) or (isinstance(v, list) and _flat(v)) for v in values)


def _flow(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else json.dumps(str(value))


class Node:
    """One dicomstegod with its own key, configuration, state folder and drop folder."""

    def __init__(self, folder, name, ae_title, detached=False):
        self.folder, self.name, self.ae_title = Path(folder), name, ae_title
        self.folder.mkdir(mode=0o711, parents=True)
        self.key, self.certificate = new_key(self.folder, ae_title.lower())
        self.port, self.tls_port, self.web_port = free_port(), free_port(), free_port()
        self.state, self.reports = self.folder / "state", self.folder / "reports"
        self.config_path = self.folder / "config.yaml"
        self.node = {"ae_title": ae_title,
                     "dicom": {"address": LOOPBACK, "port": self.port, "tls_port": self.tls_port},
                     "web": {"address": LOOPBACK, "port": self.web_port},
                     "state_dir": self.state, "reports_folder": self.reports,
                     "key": self.key, "certificate": self.certificate, "min_free": "64 MiB", "journal": "16 MiB"}
        self.peers, self.rules, self.query = {}, [], {}
        self.database_url = None  # the node's private one
        self.audit = None  # where audit messages go
        self.migrate_url = None
        self.detached, self.program = detached, None
        self.environment = {}
        self.provenance = {}

    def peer(self, name, **settings):
        self.peers[name] = settings

    def peer_node(self, name, other, **settings):
        """Another node over mutual TLS; its certificate is exchanged as two administrators would."""
        copy = self.folder / f"{other.ae_title.lower()}.cert.pem"
        shutil.copyfile(other.certificate, copy)
        self.peer(name, ae_title=other.ae_title, host=LOOPBACK, port=other.tls_port, tls="mutual",
                  certificate=copy, **settings)

    def rule(self, **settings):
        self.rules.append(settings)

    def write_config(self):
        owner = {"migrate_url": self.migrate_url} if self.migrate_url else {}
        database = {"database": {"url": self.database_url, **owner}} if self.database_url else {}
        # A person's patience with a peer that comes back, not a test's.
        peers = {name: {"retry": {"first": "200 ms", "cap": "2 s"}, **peer} if "host" in peer else peer
                 for name, peer in self.peers.items()}
        sections = {"provenance": self.provenance, "query": self.query, "audit_repository": self.audit}
        more = {key: value for key, value in sections.items() if value}
        text = yaml({"node": self.node, **database, **more, "peers": peers, "rules": self.rules})
        self.config_path.write_text(text)

    @property
    def log(self):
        return self.folder / "node.log"

    def start(self, wait=True):
        self.write_config()
        # A file of the previous run would look like readiness.
        (self.state / "ports.json").unlink(missing_ok=True)
        self.program = Program(f"node {self.name}", [binary("dicomstegod"), "--config", self.config_path],
                               self.log, env=self.environment, detached=self.detached)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        wait_for(f"node {self.name} to listen", (self.state / "ports.json").exists, 30, alive=self.program)

    def running(self):
        return self.program is not None and self.program.running()

    def stop(self, timeout=20.0):
        if self.program is None:
            return None
        program, self.program = self.program, None
        return program.stop(timeout)

    def kill(self):
        """As a power cut for the process: SIGKILL, no goodbye."""
        self.program.signal(signal.SIGKILL)
        self.program.process.wait()
        self.program.kill_group()
        self.program = None

    def http(self, path, method="GET"):
        """(status, headers, text) from the node's web port, whatever the status."""
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.web_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.headers, refusal.read().decode()

    def archive(self):
        """Every DICOM file that the node keeps, in no order."""
        folder = self.state / "archive"
        return sorted(folder.rglob("*.dcm")) if folder.exists() else []

    def drop_report(self, name, data):
        """As a report system does it: written beside, then renamed, so that it is never seen half."""
        part = self.folder / f".{name}.part"
        part.write_bytes(data)
        self.reports.mkdir(mode=0o700, exist_ok=True)
        os.replace(part, self.reports / name)

    def psql(self, sql):
        """Rows of the node's database, as lists of text. For looking, not for steering."""
        done = subprocess.run(["psql", "-X", "-A", "-t", "-F", "\t", "-c", sql, *self._psql_where()],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"psql: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines() if line]

    def _psql_where(self):
        if self.database_url:
            return ["-d", str(self.database_url)]
        lines = (self.state / "postgresql" / "data" / "postmaster.pid").read_text().splitlines()
        return ["-h", lines[4], "-p", lines[3], "-U", "postgres", "-d", "dicomstego"]


class Dcmqrscp:
    """DCMTK's image archive as the PACS of a hospital; keeps files exactly as they came."""

    kind = "dcmqrscp"

    def __init__(self, folder, ae_title, detached=False):
        self.folder, self.ae_title, self.port = Path(folder), ae_title, free_port()
        self.storage = self.folder / "storage"
        self.storage.mkdir(mode=0o700, parents=True)
        self.detached, self.program = detached, None
        self.options, self.destinations = (), {}  # ports by AE title

    def move_to(self, ae_title, port):
        """A destination of C-MOVE."""
        self.destinations[ae_title] = port

    def start(self):
        config = self.folder / "dcmqrscp.cfg"
        hosts = "".join(f"host{port} = ({ae_title}, {LOOPBACK}, {port})\n"
                        for ae_title, port in self.destinations.items())
        config.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
            f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\nAETable BEGIN\n"
            f"{self.ae_title} {self.storage} RW (1000, 64gb) ANY\nAETable END\n")
        self.program = Program(f"PACS {self.ae_title}",
                               ["dcmqrscp", "+B", *self.options, "-pdu", 131072, "-dhl", "-c", config],
                               self.folder / "dcmqrscp.log", env={"TCP_NODELAY": "1"},
                               detached=self.detached)
        wait_for("dcmqrscp to listen", lambda: listening(self.port), alive=self.program)

    def files(self):
        return sorted(p for p in self.storage.iterdir() if p.suffix == ".dcm")

    def stop(self):
        if self.program is not None:
            self.program.stop()


class Storescp:
    """DCMTK's plain receiver."""

    kind = "storescp"

    def __init__(self, folder, ae_title, detached=False, options=("+B", "+xa")):
        self.folder, self.ae_title, self.port = Path(folder), ae_title, free_port()
        self.storage = self.folder / "storage"
        self.storage.mkdir(mode=0o700, parents=True)
        self.options, self.detached, self.program = options, detached, None

    def start(self):
        self.program = Program(f"receiver {self.ae_title}",
                               ["storescp", "--fork", *self.options, "-pdu", 131072, "-dhl", "-aet",
                                self.ae_title, "-od", self.storage, self.port],
                               self.folder / "storescp.log", env={"TCP_NODELAY": "1"},
                               detached=self.detached)
        wait_for("storescp to listen", lambda: listening(self.port), alive=self.program)

    def files(self):
        return sorted(p for p in self.storage.iterdir() if p.is_file())

    def stop(self):
        if self.program is not None:
            self.program.stop()


FORWARD_LUA = """
-- Forward what another AE stored, as it was stored. What this server itself sends does not come back.
function OnStoredInstance(instanceId, tags, metadata, origin)
   if origin['RequestOrigin'] == 'DicomProtocol' then
      SendToModality(instanceId, 'next')
   end
end
"""


class Orthanc:
    """Debian's Orthanc with its own storage; may forward all it stores to one modality."""

    kind = "orthanc"

    def __init__(self, folder, ae_title, detached=False):
        self.folder, self.ae_title = Path(folder), ae_title
        self.port, self.http = free_port(), free_port()
        self.storage = self.folder / "storage"
        self.storage.mkdir(mode=0o700, parents=True)
        self.detached, self.program, self.modalities, self.scripts = detached, None, {}, []

    def forward_to(self, ae_title, port):
        script = self.folder / "forward.lua"
        script.write_text(FORWARD_LUA)
        self.scripts = [str(script)]
        self.modalities = {"next": [ae_title, LOOPBACK, port]}

    def start(self):
        config = self.folder / "orthanc.json"
        config.write_text(json.dumps({
            "Name": self.ae_title, "StorageDirectory": str(self.storage),
            "IndexDirectory": str(self.storage), "StorageCompression": False, "Plugins": [],
            "LuaScripts": self.scripts, "HttpPort": self.http, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomServerEnabled": True, "DicomAet": self.ae_title,
            "DicomPort": self.port, "DicomCheckCalledAet": False, "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True,
            "UnknownSopClassAccepted": True, "DicomModalities": self.modalities,
            "OverwriteInstances": False, "HttpServerEnabled": True}, indent=1))
        self.program = Program(f"Orthanc {self.ae_title}", ["Orthanc", config],
                               self.folder / "orthanc.log", env={"TCP_NODELAY": "1"},
                               detached=self.detached)
        wait_for("Orthanc to listen", lambda: listening(self.http) and listening(self.port),
                 alive=self.program)

    def get(self, path):
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.http}{path}", timeout=30) as answer:
            return answer.read()

    def ids(self):
        return json.loads(self.get("/instances"))

    def files(self):
        """Fetches what it has over its own interface, each once, into a folder beside its storage."""
        out = self.folder / "fetched"
        out.mkdir(mode=0o700, exist_ok=True)
        for uid in self.ids():
            path = out / f"{uid}.dcm"
            if not path.exists():
                path.write_bytes(self.get(f"/instances/{uid}/file"))
        return sorted(out.iterdir())

    def stop(self):
        if self.program is not None:
            self.program.stop()


def _send(argv):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{argv[0]} failed ({done.returncode}): {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def storescu(source, port, called, calling="CT1", options=()):
    """Unmodified storescu; source: a folder, a file or a list of files."""
    sources = source if isinstance(source, (list, tuple)) else [source]
    return _send(["storescu", "-v", "+sd", "+r", "-R", "-aet", calling, "-aec", called, *options,
                  LOOPBACK, port, *sources])


def dcmsend(source, port, called, calling="CT1", options=()):
    """Unmodified dcmsend: unlike storescu it proposes each file's own transfer syntax."""
    sources = source if isinstance(source, (list, tuple)) else [source]
    return _send(["dcmsend", "-v", "+sd", "+r", "-nh", "-aet", calling, "-aec", called, *options,
                  LOOPBACK, port, *sources])


class Stage:
    """Everything of one test; leaving it stops all of it and removes the folder."""

    def __init__(self, folder=None, keep=False):
        base = folder or tempfile.mkdtemp(prefix="dicomstego-")
        self.folder = Path(base).resolve()
        self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        # A node started by root runs its database as an unprivileged user, who must get through here.
        os.chmod(self.folder, 0o711)
        self.keep, self.made = keep, []

    def _add(self, thing):
        self.made.append(thing)
        return thing

    def node(self, name, ae_title):
        return self._add(Node(self.folder / f"node-{name.lower()}", name, ae_title, self.keep))

    def dcmqrscp(self, ae_title):
        return self._add(Dcmqrscp(self.folder / ae_title.lower(), ae_title, self.keep))

    def storescp(self, ae_title, **settings):
        return self._add(Storescp(self.folder / ae_title.lower(), ae_title, self.keep, **settings))

    def orthanc(self, ae_title):
        return self._add(Orthanc(self.folder / ae_title.lower(), ae_title, self.keep))

    def programs(self):
        return [m.program for m in self.made if m.program is not None]

    def left_behind(self):
        """Processes whose command line names our folder: there must be none after stop()."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder) in line:
                found.append((int(entry.name), line.strip()))
        return found

    def stop(self):
        # In the way that images take: nobody then waits for a peer that keeps its association open.
        for thing in self.made:
            thing.stop()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.keep:
            return False
        self.stop()
        if kind is None or not os.environ.get("DICOMSTEGO_TEST_KEEP_FAILED"):
            self.remove()
        return False
