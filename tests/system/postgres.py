# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL of the test's own, which it may stop, kill, fill up and cut off; and a proxy in front of it."""
import os
import select
import shutil
import signal
import socket
import subprocess
import threading

import hospital

USER = "postgres"


def programs():
    """The folder of the newest PostgreSQL's programs."""
    found = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True)
    if found.returncode == 0 and os.path.exists(found.stdout.strip() + "/postgres"):
        return found.stdout.strip()
    versions = sorted(os.listdir("/usr/lib/postgresql"), key=float)
    return f"/usr/lib/postgresql/{versions[-1]}/bin"


def as_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--pdeathsig", "TERM"]


class Postgres:
    """data may lie on a file system of the test's own."""

    def __init__(self, folder, data=None):
        self.folder, self.port, self.program = folder, hospital.free_port(), None
        self.environment = {}
        self.folder.mkdir(mode=0o711, parents=True)
        self.data = data or self.folder / "data"
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.sockets = self.folder / "sockets"
        self.sockets.mkdir(mode=0o700)
        if os.geteuid() == 0:
            for path in (self.data, self.sockets):
                shutil.chown(path, USER, USER)
        self._run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C")

    def _run(self, name, *arguments):
        done = subprocess.run([*as_user(), f"{programs()}/{name}", *map(str, arguments)], capture_output=True,
                              text=True, cwd="/")
        if done.returncode != 0:
            raise hospital.Failed(f"{name}: {done.stderr.strip()}")

    def start(self, wait=True):
        self.program = hospital.Program("postgres", [
            *as_user(), "env", *(f"{k}={v}" for k, v in self.environment.items()), f"{programs()}/postgres", "-D", self.data, "-p", self.port, "-h", hospital.LOOPBACK,
            "-k", self.sockets, "-c", "shared_buffers=32MB", "-c", "max_connections=100",
            "-c", "max_wal_size=64MB", "-c", "min_wal_size=32MB"], self.folder / "postgres.log")
        if wait:
            hospital.wait_for("PostgreSQL", self.ready, 60, alive=self.program)
        return self

    def ready(self):
        return subprocess.run([f"{programs()}/pg_isready", "-q", "-h", hospital.LOOPBACK, "-p", str(self.port)]
                              ).returncode == 0

    def create(self, name):
        self.psql(f"CREATE DATABASE {name}", "postgres")
        return self.url(name)

    def url(self, name, port=None):
        return f"postgresql://{USER}@{hospital.LOOPBACK}:{port or self.port}/{name}"

    def psql(self, sql, database):
        done = subprocess.run(["psql", "-X", "-A", "-t", "-F", "\t", "-c", sql, self.url(database)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise hospital.Failed(f"psql: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines() if line]

    def cut_connections(self, database):
        """As an administrator does it."""
        return len(self.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                             f"WHERE datname = '{database}' AND pid <> pg_backend_pid()", database))

    def running(self):
        return self.program is not None and self.program.running()

    def stop(self):
        """A fast shutdown: connections are cut, nothing is waited for."""
        if self.program is not None:
            if self.program.running():
                self.program.signal(signal.SIGINT)
            self.program.stop()
            self.program = None

    def kill(self):
        """As when the machine dies: no goodbye, no checkpoint."""
        self.program.signal(signal.SIGKILL)
        self.program.process.wait()
        self.program.kill_group()
        self.program = None


class Proxy:
    """Passes connections on to a port, until it is told to drop them, or to hold them: bytes then go nowhere,
    and nobody is told, as when a firewall forgets a connection."""

    program = None

    def __init__(self, to_port):
        self.to_port, self.port = to_port, hospital.free_port()
        self.holding, self._ended, self._lock, self._pairs = False, False, threading.Lock(), set()
        self.dropped = 0

    def start(self):
        self._listener = socket.create_server((hospital.LOOPBACK, self.port))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self):
        while not self._ended:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection((hospital.LOOPBACK, self.to_port), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._pairs.add((near, far))
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        try:
            while True:
                ready, _, _ = select.select([near, far], [], [], 0.2)
                for one in [] if self.holding else ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    (far if one is near else near).sendall(data)
                if self.holding:
                    threading.Event().wait(0.05)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._pairs.discard((near, far))
            near.close()
            far.close()

    def drop(self):
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.dropped += len(pairs)

    def stop(self):
        self._ended = True
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.drop()
