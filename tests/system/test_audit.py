# SPDX-License-Identifier: Apache-2.0
"""What `dicomstego audit` hands out and verifies: bundles, heads, what a peer has seen, exports, time stamps.

Hashes and proofs are computed here once more by hashlib, from docs/provenance.md.
"""
import base64
import contextlib
import csv
import hashlib
import http.server
import io
import json
import os
import random
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

import compare
import hospital
import phantom
from test_two_hospitals import Two, count, files_of, small_study  # noqa: F401 (a fixture)

HEAD_EVERY = "1 s"


def run(*argv, env=None, cwd=None, prefix=()):
    return subprocess.run([*prefix, hospital.binary("dicomstego"), *map(str, argv)], capture_output=True, text=True,
                          env=env, cwd=cwd)


def audit(node, *argv, code=0):
    done = run("audit", *argv, "--config", node.config_path)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def check(path, *argv, code=0):
    """The lines of a check; every one is a step."""
    done = run("audit", "check", path, *argv)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.splitlines()


def failed(lines):
    return [line.split()[1].rstrip(":") for line in lines if line.startswith("FAIL")]


def lines_of(path, word):
    return [line.split(" ")[1:] for line in Path(path).read_text().splitlines() if line.split(" ")[0] == word]


def leaf_hash(data):
    return hashlib.sha256(b"\0" + data).digest()


def root_of(leaf, index, size, path):
    """RFC 9162 2.1.3.2."""
    r, fn, sn = leaf, index, size - 1
    for p in path:
        assert sn > 0
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\1" + p + r).digest()
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\1" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0
    return r


class Audited(Two):
    def __init__(self, stage, **protect):
        super().__init__(stage, **protect)
        for node in (self.a, self.b):
            node.provenance = {"tree_head_every": HEAD_EVERY}

    def job(self, folder):
        self.send(folder)
        # All images and no report: nobody waits for one in these tests.
        return self.delivered(len(files_of(folder)))

    def proof(self, node, uid, path, word="sent"):
        """A bundle of what the instance went through, once its events are under a head."""
        def proven():
            done = run("audit", "prove", uid, "-o", path, "--force", "--config", node.config_path)
            return done.returncode == 0 and any(f'"kind":"{word}"' in " ".join(e) for e in lines_of(path, "event"))
        hospital.wait_for(f"a bundle with {word}", proven, 30, alive=node.program)
        return path

    def head(self, node, path):
        audit(node, "head", "-o", path, "--force")
        return path


@pytest.fixture(scope="module")
def relayed(small_study):  # noqa: F811
    """One study over both hospitals, for all that only looks."""
    with hospital.Stage() as stage:
        two = Audited(stage)
        for rule in two.a.rules:
            rule.pop("report", None)
        two.start()
        two.job(small_study)
        two.uid = compare.uid_of(files_of(small_study)[0])
        two.carrier = two.a.psql(f"SELECT sent_sop_uid FROM deliveries d JOIN instances i ON i.id = d.instance_id "
                                 f"WHERE i.sop_uid = '{two.uid}'")[0][0]
        yield two


def empty_place(tmp_path):
    """How to run a program without environment, files, and where the kernel lets us, network."""
    place = tmp_path / "empty"
    place.mkdir()
    alone = ["unshare", "-n"] if subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0 else []
    return {"cwd": place, "env": {}, "prefix": tuple(alone)}


# ---- bundles ----


def test_a_bundle_is_checked_where_there_is_nothing_else(relayed, tmp_path):
    bundle = relayed.proof(relayed.a, relayed.uid, tmp_path / "bundle")
    place = empty_place(tmp_path)
    copy = place["cwd"] / "bundle"
    shutil.copyfile(bundle, copy)
    done = run("audit", "check", "bundle", **place)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(place["cwd"].iterdir()) == [copy]
    for kind in ("received", "proven", "sent"):
        assert f" {kind}" in done.stdout, done.stdout
    assert done.stdout.splitlines()[-1].startswith("verifies:")
    # Who is believed counts.
    check(bundle, "--trust", relayed.a.certificate)
    assert failed(check(bundle, "--trust", relayed.b.certificate, code=3)) == ["certificate"]


def test_a_bundle_says_what_another_program_computes(relayed, tmp_path):
    bundle = relayed.proof(relayed.a, relayed.uid, tmp_path / "bundle")
    size, root = lines_of(bundle, "head")[0][:2]
    events, paths = lines_of(bundle, "event"), lines_of(bundle, "path")
    assert len(events) == len(paths) > 3
    for (leaf, *words), path in zip(events, paths):
        event = " ".join(words).encode()
        proof = [bytes.fromhex(p) for p in path if p]
        assert root_of(leaf_hash(event), int(leaf), int(size), proof) == bytes.fromhex(root)
        assert json.loads(event)["sop_uid"] in (relayed.uid, relayed.carrier)
    (log,), (key,) = lines_of(bundle, "log")[0], lines_of(bundle, "key")[0]
    assert hashlib.sha256(base64.b64decode(key)).hexdigest() == log


def test_the_openssl_program_verifies_head_and_seal(relayed, tmp_path):
    bundle = relayed.proof(relayed.a, relayed.uid, tmp_path / "bundle")
    data = bundle.read_bytes()
    (log,), (key,) = lines_of(bundle, "log")[0], lines_of(bundle, "key")[0]
    size, root, time, signature = lines_of(bundle, "head")[0]
    (seal,) = lines_of(bundle, "seal")[0]
    head = f"dicomstego log head 1\nlog {log}\nsize {size}\nroot {root}\ntime {time}\n".encode()
    (tmp_path / "key.der").write_bytes(base64.b64decode(key))
    for text, proof in ((head, signature), (data[:data.rindex(b"seal ")], seal)):
        (tmp_path / "text").write_bytes(text)
        (tmp_path / "signature").write_bytes(base64.b64decode(proof))
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", "key.der", "-keyform", "DER", "-signature",
                               "signature", "text"], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout.strip() == "Verified OK", done.stderr


def test_each_altered_byte_is_found_and_the_step_named(relayed, tmp_path):
    bundle = relayed.proof(relayed.a, relayed.uid, tmp_path / "bundle")
    data, rng = bundle.read_bytes(), random.Random(6)
    bad = tmp_path / "bad"
    named = set()
    places = rng.sample(range(len(data)), 100) + [data.index(word) + 20 for word in (b"\nkey ", b"\nhead ", b"\nevent ")]
    for at in places:
        bad.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1:])
        steps = failed(check(bad, code=3))
        assert steps, at
        named.add(steps[0])
    assert {"form", "key", "event"} <= named, named
    for wrong in (b"", data[:-1], data + b"\n", data * 2):
        bad.write_bytes(wrong)
        assert failed(check(bad, code=3)) == ["form"]


def test_the_carrier_is_the_same_instance_under_another_name(relayed, tmp_path):
    assert relayed.carrier != relayed.uid
    by_carrier = relayed.proof(relayed.a, relayed.carrier, tmp_path / "carrier")
    by_original = relayed.proof(relayed.a, relayed.uid, tmp_path / "original")
    assert lines_of(by_carrier, "instance") == [[relayed.carrier]] and [relayed.uid] in lines_of(by_carrier, "also")
    assert lines_of(by_carrier, "event") == lines_of(by_original, "event")
    # At the other hospital the carrier came and the original was restored from it.
    there = relayed.proof(relayed.b, relayed.uid, tmp_path / "there")
    kinds = [json.loads(" ".join(e[1:]))["kind"] for e in lines_of(there, "event")]
    assert {"received", "recovered", "sent"} <= set(kinds), kinds
    check(there, "--trust", relayed.b.certificate)


def test_what_is_not_in_the_log_has_no_bundle(relayed, tmp_path):
    done = run("audit", "prove", "1.2.3.4", "-o", tmp_path / "none", "--config", relayed.a.config_path)
    assert done.returncode == 1 and "no event" in done.stderr
    assert not (tmp_path / "none").exists()
    bundle = relayed.proof(relayed.a, relayed.uid, tmp_path / "bundle")
    again = run("audit", "prove", relayed.uid, "-o", bundle, "--config", relayed.a.config_path)
    assert again.returncode == 1 and "--force" not in again.stdout


# ---- the whole log ----


def test_log_shows_what_the_filters_ask_for(relayed):
    whole = json.loads(audit(relayed.a, "log", "--limit", "10000", "--json"))
    assert [e["id"] for e in whole] == sorted(e["id"] for e in whole)
    ours = json.loads(audit(relayed.a, "log", "--instance", relayed.uid, "--json"))
    assert ours and ours == [e for e in whole if e["sop_uid"] == relayed.uid]
    kind = json.loads(audit(relayed.a, "log", "--kind", "sent", "--peer", "CLINIC_B", "--json"))
    assert kind == [e for e in whole if e["kind"] == "sent" and e["peer"] == "CLINIC_B"] and kind
    study = whole[-1]["study_uid"]
    assert json.loads(audit(relayed.a, "log", "--study", ours[0]["study_uid"], "--json"))
    assert study is None or isinstance(study, str)
    patient = relayed.a.psql("SELECT patient_id FROM studies")[0][0]
    assert json.loads(audit(relayed.a, "log", "--patient", patient, "--json"))
    assert json.loads(audit(relayed.a, "log", "--patient", "somebody else", "--json")) == []
    middle = whole[len(whole) // 2]["at"][:19]
    early = json.loads(audit(relayed.a, "log", "--until", middle, "--limit", "10000", "--json"))
    late = json.loads(audit(relayed.a, "log", "--since", middle, "--limit", "10000", "--json"))
    assert [e["id"] for e in early + late[:len(whole) - len(early)]] == [e["id"] for e in whole]
    assert len(json.loads(audit(relayed.a, "log", "--limit", "3", "--json"))) == 3
    assert "received" in audit(relayed.a, "log", "--kind", "received")
    assert run("audit", "log", "--since", "yesterday").returncode == 2


def test_an_export_has_every_event_with_the_bytes_that_were_hashed(relayed, tmp_path):
    path = tmp_path / "log.jsonl"
    audit(relayed.a, "export", "-o", path)
    leaves = {int(n): h for n, h in relayed.a.psql("SELECT leaf, encode(hash, 'hex') FROM log_leaves")}
    seen = {}
    for line in path.read_bytes().splitlines():
        row = json.loads(line)
        event = line[line.index(b',"event":') + 9:-1]
        assert json.loads(event) == row["event"]
        if row["leaf"] is not None:
            seen[row["leaf"]] = leaf_hash(event).hex()
    assert leaves.items() <= seen.items()
    table = list(csv.DictReader(io.StringIO(audit(relayed.a, "export", "--format", "csv"), newline="")))
    lines = path.read_bytes().splitlines()
    assert len(table) >= len(lines)
    for row, line in zip(table, lines):
        event = json.loads(line)["event"]
        assert (row["kind"], row["node"], row["at"]) == (event["kind"], event["node"], event["at"])
        assert row["detail"] == "" or json.loads(row["detail"]) == event["detail"]


# ---- across hospitals ----


@pytest.fixture
def one_slice(tmp_path):
    folder = tmp_path / "one"
    phantom.write_study(folder, slices=1, seed=2)
    return folder


def test_a_peer_that_has_seen_a_head_finds_a_rewritten_log(tmp_path, one_slice, small_study):  # noqa: F811
    with hospital.Stage() as stage:
        two = Audited(stage)
        for rule in two.a.rules:
            rule.pop("report", None)
        two.start()
        two.job(one_slice)  # so that there is a head when the study is sealed
        hospital.wait_for("a head at A", lambda: count(two.a, "SELECT count(*) FROM log_heads WHERE size > 0"), 30)
        two.send(small_study)
        two.delivered(1 + len(files_of(small_study)))
        seen, head = tmp_path / "seen", tmp_path / "head"
        audit(two.b, "seen", "CLINIC_A", "-o", seen)
        check(seen, "--trust", two.b.certificate)
        # B noted it in its own log.
        witnessed = json.loads(audit(two.b, "log", "--kind", "witnessed", "--json"))
        assert [str(e["detail"]["size"]) for e in witnessed] == [s[1] for s in lines_of(seen, "seen")]
        size = int(lines_of(seen, "seen")[-1][1])
        two.head(two.a, head)
        hospital.wait_for("a longer log", lambda: int(lines_of(two.head(two.a, head), "head")[0][0]) > size, 30)
        audit(two.a, "consistency", seen, head, "--trust", two.a.certificate, "--trust", two.b.certificate)
        assert set(failed(check(seen, "--trust", two.a.certificate, code=3))) == {"certificate"}
        # What was countersigned travels in A's bundles, with the proof.
        audit(two.a, "witness", seen)
        audit(two.a, "witness", seen)
        bundle = two.proof(two.a, compare.uid_of(files_of(small_study)[0]), tmp_path / "bundle")
        steps = check(bundle, "--trust", two.a.certificate, "--trust", two.b.certificate)
        assert sum(line.startswith("ok    witness") for line in steps) == 1
        assert len(json.loads(audit(two.a, "log", "--kind", "countersigned", "--json"))) == 1
        assert failed(check(bundle, "--trust", two.a.certificate, code=3)) == ["certificate"]
        # Of another's log, or of a stranger: no.
        audit(two.b, "witness", seen, code=3)
        # A begins a new history with its old key, and makes it longer than the old one was.
        two.a.stop()
        shutil.rmtree(two.a.state)
        two.a.start()
        two.send(small_study)
        new = tmp_path / "new"

        def is_longer():
            done = run("audit", "head", "-o", new, "--force", "--config", two.a.config_path)
            return done.returncode == 0 and int(lines_of(new, "head")[0][0]) > size
        hospital.wait_for("the new history", is_longer, 60, alive=two.a.program)
        out = run("audit", "consistency", seen, new, "--config", two.a.config_path)
        assert out.returncode == 3 and "FAIL" in out.stdout, out.stdout + out.stderr
        out = run("audit", "witness", seen, "--config", two.a.config_path)
        assert out.returncode == 3 and "what was seen" in out.stderr, out.stdout + out.stderr
        out = run("audit", "consistency", head, new, "--config", two.a.config_path)
        assert out.returncode == 3, out.stdout + out.stderr


def test_files_of_different_logs_have_nothing_to_compare(relayed, tmp_path):
    a, b = relayed.head(relayed.a, tmp_path / "a"), relayed.head(relayed.b, tmp_path / "b")
    assert run("audit", "consistency", a, b, "--config", relayed.a.config_path).returncode == 5
    assert run("audit", "consistency", a, a).returncode == 0  # equal sizes need no proof, and no node
    (tmp_path / "bad").write_bytes(a.read_bytes().replace(b"size", b"sise", 1)[:-2])
    assert run("audit", "consistency", tmp_path / "bad", a).returncode == 3


# ---- time stamps ----


class Authority(http.server.ThreadingHTTPServer):
    """A time stamping authority of `openssl ts`, with a CA of its own, that can misbehave."""

    def __init__(self, folder):
        self.folder, self.spoil, self.asked = Path(folder), None, 0
        self.folder.mkdir()
        (self.folder / "ext").write_text("extendedKeyUsage=critical,timeStamping\n")
        (self.folder / "cnf").write_text(
            "[a]\ndir = .\nserial = serial\ncrypto_device = builtin\nsigner_cert = tsa.pem\nsigner_key = tsa.key\n"
            "signer_digest = sha256\ndefault_policy = 1.2.3.4.1\ndigests = sha256\nordering = no\ntsa_name = no\n"
            "ess_cert_id_chain = no\ness_cert_id_alg = sha256\n")
        ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.openssl("req", "-x509", *ec, "-subj", "/CN=CA", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30")
        self.openssl("req", *ec, "-subj", "/CN=test authority", "-keyout", "tsa.key", "-out", "tsa.csr")
        self.openssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "30", "-extfile", "ext", "-out", "tsa.pem")
        self.ca = self.folder / "ca.pem"
        super().__init__((hospital.LOOPBACK, 0), Handler)
        self.url = f"http://{hospital.LOOPBACK}:{self.server_port}/tsa"

    def openssl(self, *argv):
        subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)

    def answer(self, query):
        name = f"{self.asked}"
        self.asked += 1
        (self.folder / f"{name}.tsq").write_bytes(query)
        self.openssl("ts", "-reply", "-config", "cnf", "-section", "a", "-queryfile", f"{name}.tsq", "-out",
                     f"{name}.tsr")
        return (self.folder / f"{name}.tsr").read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        spoil = self.server.spoil
        body = self.server.answer(query if spoil is None else spoil[0](query))
        body = body if spoil is None else spoil[1](body)
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def authority(folder):
    server = Authority(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def same(data):
    return data


def flip(at):
    def flipped(data):
        changed = bytearray(data)
        changed[at] ^= 1
        return bytes(changed)
    return flipped


def test_heads_are_time_stamped_and_a_bundle_brings_the_stamp(tmp_path, small_study):  # noqa: F811
    with authority(tmp_path / "tsa") as tsa, hospital.Stage() as stage:
        two = Audited(stage)
        for rule in two.a.rules:
            rule.pop("report", None)
        two.a.provenance["time_stamp"] = {"url": tsa.url, "certificate": tsa.ca, "every": "1 s"}
        # The imprint is the query's 27th byte and on, the nonce stands behind it: other ones, and an altered answer.
        tsa.spoil = (flip(40), same)
        two.start()
        two.job(small_study)
        stamps = "SELECT count(*) FROM head_stamps"
        for spoil in ((flip(-8), same), (same, flip(-1)), (same, lambda b: b[:-1]), (same, lambda b: b"")):
            asked = tsa.asked
            hospital.wait_for("the authority to be asked", lambda: tsa.asked > asked, 60, alive=two.a.program)
            assert count(two.a, stamps) == 0
            tsa.spoil = spoil
        tsa.spoil = None
        hospital.wait_for("a time stamp", lambda: count(two.a, stamps), 60, alive=two.a.program)
        uid = compare.uid_of(files_of(small_study)[0])

        def stamped():
            return lines_of(two.proof(two.a, uid, tmp_path / "bundle"), "stamp")
        hospital.wait_for("a stamp in the bundle", stamped, 60, alive=two.a.program)
        steps = check(tmp_path / "bundle", "--tsa", tsa.ca)
        assert any(line.startswith("ok") and "CN=test authority" in line and "trusted" in line for line in steps)
        assert failed(check(tmp_path / "bundle", "--tsa", two.a.certificate, code=3)) == ["time"]
        # Away: nobody waits for it.
        tsa.shutdown()
        two.send(small_study)
        assert two.a.running()
