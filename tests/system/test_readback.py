# SPDX-License-Identifier: Apache-2.0
"""Read-back: what a peer's archive did to what it was sent is found, at dcmqrscp and at Orthanc.

The archive is tampered with behind its back: dcmqrscp's files are rewritten where they lie, Orthanc's instances are
deleted and uploaded again altered, under the same UIDs.
"""
import io
import json
import shutil
import subprocess
import urllib.request

import pydicom
import pytest

import hospital
from test_operator import run

QUIET = "1 s"


class DcmqrscpStore:
    """The PACS and ways to alter what lies in it."""

    def __init__(self, stage):
        self.pacs = stage.dcmqrscp("PACS")

    def paths(self):
        """{SOP Instance UID: file}"""
        return {str(pydicom.dcmread(str(p), stop_before_pixels=True).SOPInstanceUID): p for p in self.pacs.files()}

    def read(self, uid):
        return pydicom.dcmread(str(self.paths()[uid]))

    def write(self, uid, ds):
        ds.save_as(str(self.paths()[uid]))

    def drop(self, uid):
        """The file, and its row: dcmqrscp forgets what has no file only when it is asked to check."""
        self.paths()[uid].unlink()
        subprocess.run(["dcmqridx", "-p", str(self.pacs.storage)], capture_output=True)
        self.reindex()

    def add(self, ds):
        ds.save_as(str(self.pacs.storage / f"{ds.SOPInstanceUID}.added.dcm"))
        self.reindex()

    def reindex(self):
        (self.pacs.storage / "index.dat").unlink()
        subprocess.run(["dcmqridx", str(self.pacs.storage), *map(str, self.pacs.files())], check=True,
                       capture_output=True)

    def can_serve_jpeg(self):
        return False  # it accepts native syntaxes only, as it is started


class OrthancStore:
    def __init__(self, stage):
        self.pacs = stage.orthanc("PACS")

    def _call(self, path, data=None, method=None):
        request = urllib.request.Request(f"http://{hospital.LOOPBACK}:{self.pacs.http}{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def paths(self):
        return {json.loads(self._call(f"/instances/{i}/simplified-tags"))["SOPInstanceUID"]: i
                for i in self.pacs.ids()}

    def read(self, uid):
        return pydicom.dcmread(io.BytesIO(self._call(f"/instances/{self.paths()[uid]}/file")))

    def write(self, uid, ds):
        self.drop(uid)
        self.add(ds)

    def drop(self, uid):
        self._call(f"/instances/{self.paths()[uid]}", method="DELETE")

    def add(self, ds):
        out = io.BytesIO()
        ds.save_as(out)
        self._call("/instances", out.getvalue(), "POST")

    def can_serve_jpeg(self):
        return True


STORES = {"dcmqrscp": DcmqrscpStore, "orthanc": OrthancStore}


class Audit:
    """Node A, which sends to an archive: carriers, or the originals as they are."""

    def __init__(self, stage, kind, protect=True, peer=None, **rule):
        if kind == "orthanc" and shutil.which("Orthanc") is None:
            pytest.skip("Orthanc is not installed")
        self.store = STORES[kind](stage)
        self.pacs = self.store.pacs
        self.node = stage.node("A", "CLINIC_A")
        self.node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        self.node.peer("PACS", ae_title="PACS", host=hospital.LOOPBACK, port=self.pacs.port,
                       certificate=self.node.certificate, associations=1, read_back={"rate": 1000, **(peer or {})})
        if protect:
            given = protect if isinstance(protect, dict) else {}
            rule["protect"] = {"payload": "report", "recipients": ["PACS"], **given}
        self.node.rule(name="on", study_complete_after=QUIET, **rule, send_to=["PACS"])

    def start(self):
        self.pacs.start()
        self.node.start()
        self.wait_database()

    def wait_database(self):
        hospital.wait_for("the database", lambda: "the database is there" in self.node.log.read_text(), 60,
                          alive=self.node.program)

    def send(self, files, generation=1):
        hospital.storescu(files, self.node.port, "CLINIC_A", options=("-xs",) if self.is_jpeg(files) else ())
        self.settle(len(files))

    @staticmethod
    def is_jpeg(files):
        return pydicom.dcmread(str(files[0]), stop_before_pixels=True).file_meta.TransferSyntaxUID.is_compressed

    def settle(self, least):
        hospital.wait_for("the deliveries", lambda: self.number("SELECT count(*) FROM deliveries") >= least and
                          self.number("SELECT count(*) FROM deliveries WHERE state IN ('ready', 'leased')") == 0, 90,
                          alive=self.node.program)
        rows = self.node.psql("SELECT state, cause, note FROM deliveries")
        assert {state for state, _, _ in rows} == {"sent"}, rows

    def number(self, sql):
        return int(self.node.psql(sql)[0][0])

    def sent(self):
        """SOP Instance UIDs as sent, in the order of the originals'."""
        return [uid for (uid,) in self.node.psql("SELECT COALESCE(d.sent_sop_uid, i.sop_uid) FROM deliveries d JOIN "
                                                 "instances i ON i.id = d.instance_id ORDER BY i.path")]

    def read_back(self, *options, code=0):
        done = run("audit", "read-back", "PACS", *options, "--json", "--config", self.node.config_path)
        assert done.returncode == code, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        return answer["run"], {f["sop_uid"]: f for f in answer["findings"]}

    def outcomes(self, run_):
        return {k: v for k, v in run_["outcomes"].items() if v}

    def profile(self):
        done = run("peer", "list", "--json", "--config", self.node.config_path)
        return next(p for p in json.loads(done.stdout) if p["peer"] == "PACS")["profile"]


def some_ct(data, count=6):
    """12 bits stored, with private elements."""
    return sorted((data / "ct" / "philips-ingenuity").glob("*.dcm"))[:count]


def flip_pixel(ds, by=1):
    data = bytearray(ds.PixelData)
    data[2 * 30000] ^= by
    ds.PixelData = bytes(data)


def recompressed(ds, tmp_path):
    """Through JPEG with loss, as a PACS that saves room does it."""
    source, jpeg = tmp_path / "lossy-in.dcm", tmp_path / "lossy-out.dcm"
    ds.save_as(str(source))
    subprocess.run(["dcmcjpeg", "+ee", "+un", "+q", "80", str(source), str(jpeg)], check=True, capture_output=True)
    return jpeg


@pytest.mark.parametrize("kind", STORES)
@pytest.mark.parametrize("protect", [True, False], ids=["carriers", "as-is"])
def test_each_kind_of_alteration_is_found(stage, data, tmp_path, kind, protect):
    audit = Audit(stage, kind, protect)
    audit.start()
    audit.send(some_ct(data))
    run_, findings = audit.read_back()
    assert audit.outcomes(run_) == {"intact": 6} and findings == {} and run_["state"] == "done"
    assert run_["profile"] == "transparent" == audit.profile()

    pixel, lossy, coerced, stripped, missing, intact = audit.sent()
    store = audit.store
    ds = store.read(pixel)
    flip_pixel(ds)
    store.write(pixel, ds)
    jpeg = pydicom.dcmread(str(recompressed(store.read(lossy), tmp_path)))
    if not store.can_serve_jpeg():
        subprocess.run(["dcmdjpeg", str(tmp_path / "lossy-out.dcm"), str(tmp_path / "back.dcm")], check=True)
        jpeg = pydicom.dcmread(str(tmp_path / "back.dcm"))
    store.write(lossy, jpeg)
    ds = store.read(coerced)
    was = str(ds.PatientID)
    ds.PatientID = "ZZ-COERCED"
    store.write(coerced, ds)
    ds = store.read(stripped)
    assert any(e.tag.is_private for e in ds)
    ds.remove_private_tags()
    store.write(stripped, ds)
    extra = store.read(intact)
    extra.SOPInstanceUID = "1.2.826.0.1.3680043.10.1"
    extra.file_meta.MediaStorageSOPInstanceUID = extra.SOPInstanceUID
    store.add(extra)
    store.drop(missing)

    run_, findings = audit.read_back(code=3)
    assert {u: f["outcome"] for u, f in findings.items()} == {
        pixel: "pixels-changed", lossy: "lossy", coerced: "attributes-changed", stripped: "attributes-changed",
        missing: "missing", extra.SOPInstanceUID: "extra"}
    assert audit.outcomes(run_)["intact"] == 1
    assert findings[pixel]["detail"]["pixels"]["changed"] == 1
    assert findings[pixel]["detail"]["pixels"]["greatest"] == 1
    assert findings[lossy]["detail"]["pixels"]["changed"] > 1
    changes = findings[coerced]["detail"]["changed"]
    assert changes == [{"tag": "(0010,0020)", "keyword": "PatientID", "change": "changed"}]
    gone = findings[stripped]["detail"]
    assert gone["private_removed"] == gone["changes"] > 0 and {c["change"] for c in gone["changed"]} == {"removed"}
    assert run_["profile"] == "lossy" == audit.profile()
    if protect:
        assert findings[pixel]["detail"]["carrier"] == findings[lossy]["detail"]["carrier"] == "lost"
        assert findings[coerced]["detail"]["carrier"] == "proven"
    # No values, in no table and no log.
    kept = json.dumps(audit.node.psql("SELECT detail FROM read_back_results")) + audit.node.log.read_text()
    assert "ZZ-COERCED" not in kept and was not in kept
    # Of every instance an event, of the first run and of this one.
    assert audit.number("SELECT count(*) FROM events WHERE kind = 'read-back'") == 6 + 7
    shown = run("audit", "read-back", "PACS", "--show", "--config", audit.node.config_path)
    assert shown.returncode == 3 and "PatientID changed" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines()[:8])


def altered_archive(audit, data, tmp_path):
    """One study is sent; then the archive is caught at having coerced the Patient ID."""
    audit.start()
    audit.send(some_ct(data, 2))
    uid = audit.sent()[0]
    ds = audit.store.read(uid)
    ds.PatientID = "ZZ-COERCED"
    audit.store.write(uid, ds)
    run_, _ = audit.read_back(code=3)
    assert run_["profile"] == "coerces"


@pytest.mark.parametrize("unsuitable, actions, states", [("pass", {0}, {"sent"}), ("sidecar", {2}, {"sent"}),
                                                         ("hold", {0}, {"waiting"})])
def test_a_rule_for_transparent_peers_does_not_protect_for_one_that_alters(stage, data, tmp_path, unsuitable, actions,
                                                                            states):
    audit = Audit(stage, "dcmqrscp", {"require_transparent": True, "unsuitable": unsuitable})
    altered_archive(audit, data, tmp_path)
    assert audit.number("SELECT count(*) FROM deliveries WHERE action = 1") == 2  # unknown counts as transparent
    hospital.storescu(sorted((data / "mr" / "siemens-prisma-t1").glob("*.dcm"))[:3], audit.node.port, "CLINIC_A")
    hospital.wait_for("the plan", lambda: audit.number("SELECT count(*) FROM deliveries") == 5, 60,
                      alive=audit.node.program)
    hospital.wait_for("the deliveries", lambda: audit.number(
        "SELECT count(*) FROM deliveries WHERE state IN ('ready', 'leased')") == 0, 60, alive=audit.node.program)
    rows = audit.node.psql("SELECT action, state, note FROM deliveries ORDER BY id")[2:]
    assert {int(a) for a, _, _ in rows} == actions and {s for _, s, _ in rows} == states
    assert all("not transparent (coerces)" in note for _, _, note in rows)
    assert audit.number("SELECT count(*) FROM events WHERE kind = 'not-protected' AND peer = 'PACS' "
                        "AND outcome = 'coerces'") == 1
    assert "not transparent (coerces)" in audit.node.log.read_text()
    if unsuitable == "sidecar":
        run_, findings = audit.read_back("--since", "2020-01-01", code=3)
        assert audit.outcomes(run_) == {"intact": 7, "attributes-changed": 1}, findings


def test_what_is_moved_to_us_is_compared_and_is_no_new_instance(stage, data):
    audit = Audit(stage, "dcmqrscp")
    audit.pacs.options = ("--disable-get",)
    audit.pacs.destinations = {"CLINIC_A": audit.node.port}
    audit.node.peers["PACS"]["hosts"] = ["127.0.0.1"]
    audit.start()
    audit.send(some_ct(data, 3))
    known = audit.number("SELECT count(*) FROM instances")
    run_, findings = audit.read_back()
    assert audit.outcomes(run_) == {"intact": 3}, findings
    uid = audit.sent()[1]
    ds = audit.store.read(uid)
    flip_pixel(ds)
    audit.store.write(uid, ds)
    run_, findings = audit.read_back(code=3)
    assert audit.outcomes(run_) == {"intact": 2, "pixels-changed": 1} and uid in findings
    assert audit.number("SELECT count(*) FROM instances") == known
    # Somebody else's C-MOVE in our name finds nobody who waits: it is refused, and no new instance either.
    done = subprocess.run(["movescu", "-v", "-S", "-aet", "CLINIC_A", "-aec", "PACS", "-aem", "CLINIC_A", "-k",
                           "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={ds.StudyInstanceUID}",
                           hospital.LOOPBACK, str(audit.pacs.port)], capture_output=True, text=True)
    assert "nobody waits for" in audit.node.log.read_text(), done.stdout + done.stderr
    assert audit.number("SELECT count(*) FROM instances") == known
    assert not list((audit.node.state / "spool" / "new").iterdir())


@pytest.mark.parametrize("kind", STORES)
def test_compressed_originals_and_sidecars_come_back_intact(stage, data, kind):
    audit = Audit(stage, kind, {"unsuitable": "sidecar"})
    if kind == "dcmqrscp":
        audit.pacs.options = ("+xs",)
    audit.start()
    files = [data / "other" / "MR_small_jp2klossless.dcm", data / "us" / "echo-mono-jpeg-lossless.dcm",
             data / "us" / "echo-palette-rle-single.dcm", data / "nonimage" / "rtplan.dcm"]
    for path in files:  # as they are, unlike storescu
        hospital.dcmsend(path, audit.node.port, "CLINIC_A")
    audit.settle(len(files))
    run_, findings = audit.read_back()
    sent = audit.number("SELECT count(*) + count(*) FILTER (WHERE action = 2) FROM deliveries")
    assert audit.outcomes(run_) == {"intact": sent}, findings
    assert audit.number("SELECT count(*) FROM deliveries WHERE action = 2") >= 1
    assert audit.number("SELECT count(*) FROM deliveries WHERE action = 1") >= 2


def test_a_peer_that_goes_away_ends_the_run_with_what_it_has(stage, data):
    audit = Audit(stage, "dcmqrscp", peer={"rate": 2})
    audit.start()
    audit.send(some_ct(data, 6))
    watching = subprocess.Popen([hospital.binary("dicomstego"), "audit", "read-back", "PACS", "--json", "--config",
                                 str(audit.node.config_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    hospital.wait_for("the first result", lambda: audit.number("SELECT count(*) FROM read_back_results WHERE "
                                                               "outcome IS NOT NULL") > 0, 30)
    audit.pacs.stop()
    out, _ = watching.communicate(timeout=60)
    run_ = json.loads(out)["run"]
    assert watching.returncode == 1 and run_["state"] == "incomplete" and run_["cause"]
    assert run_["open"] > 0 and audit.outcomes(run_) == {"intact": 6 - run_["open"]}
    assert run_["profile"] == "transparent"


def test_a_run_goes_on_after_a_kill_where_it_was(stage, data):
    audit = Audit(stage, "dcmqrscp", peer={"rate": 2})
    audit.start()
    audit.send(some_ct(data, 6))
    watching = subprocess.Popen([hospital.binary("dicomstego"), "audit", "read-back", "PACS", "--sample", "5",
                                 "--config", str(audit.node.config_path)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
    hospital.wait_for("the first result", lambda: audit.number("SELECT count(*) FROM read_back_results WHERE "
                                                               "outcome IS NOT NULL") > 0, 30)
    audit.node.kill()
    watching.communicate(timeout=30)
    assert watching.returncode == 1
    audit.node.peers["PACS"]["read_back"]["rate"] = 1000
    audit.node.start()
    hospital.wait_for("the run to end", lambda: run("audit", "read-back", "PACS", "--show", "--config",
                                                    audit.node.config_path).returncode == 0, 60)
    assert audit.number("SELECT count(*) FROM read_back_runs") == 1
    assert audit.number("SELECT count(*) FROM read_back_results WHERE outcome = 'intact'") == 5
    assert audit.number("SELECT count(*) FROM events WHERE kind = 'read-back'") == 5
    assert audit.number("SELECT count(*) FROM read_back_runs WHERE seed IS NOT NULL AND sample = 5") == 1


def test_a_schedule_is_met_in_its_hours_and_shown_as_a_metric(stage, data):
    audit = Audit(stage, "dcmqrscp", peer={"every": "2 s", "sample": 2})
    audit.start()
    audit.send(some_ct(data, 4))
    hospital.wait_for("two runs", lambda: audit.number("SELECT count(*) FROM read_back_runs r WHERE state = 'done' AND "
                                                       "scheduled AND EXISTS (SELECT 1 FROM read_back_results WHERE "
                                                       "run_id = r.id)") >= 2, 60, alive=audit.node.program)
    assert audit.number("SELECT max(n) FROM (SELECT count(*) AS n FROM read_back_results GROUP BY run_id) c") == 2
    assert audit.number("SELECT count(DISTINCT seed) FROM read_back_runs") > 1
    shown = 'dicomstego_peer_profile{peer="PACS",profile="transparent"} 1'
    hospital.wait_for("the metric", lambda: shown in audit.node.http("/metrics")[2], 30)
    assert 'dicomstego_read_back_instances_total{peer="PACS",outcome="intact"}' in audit.node.http("/metrics")[2]


def test_what_cannot_be_asked_for_is_refused(stage, data):
    audit = Audit(stage, "dcmqrscp")
    audit.node.start()
    audit.wait_database()

    def refused(*argv):
        done = run("audit", "read-back", *argv, "--config", audit.node.config_path)
        assert done.returncode != 0
        return done.stderr

    assert "no such peer" in refused("NOBODY")
    assert "has no host" in refused("CT1")
    assert "--sample" in refused("PACS", "--sample", "0")
    assert "--show" in refused("PACS", "--show", "--sample", "3")
    assert "ever read back" in refused("PACS", "--show")
    run_, _ = audit.read_back()  # nothing was sent
    assert run_["instances"] == 0 and run_["state"] == "done" and run_["profile"] == "unknown"


def test_another_node_shows_its_carriers_under_the_title_of_its_view(stage, data):
    a, b, pacs = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B"), stage.dcmqrscp("PACS")
    b.query = {"views": {"carriers": ["B_CARRIERS"]}}
    a.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
    a.peer_node("CLINIC_B", b, read_back={"rate": 1000, "ae_title": "B_CARRIERS"})
    a.rule(name="out", study_complete_after=QUIET, protect={"payload": "report", "recipients": ["CLINIC_B"]},
           send_to=["CLINIC_B"])
    b.peer_node("CLINIC_A", a, may=["echo", "store", "find", "get"])
    b.peer("PACS", ae_title="PACS", host=hospital.LOOPBACK, port=pacs.port, associations=1)
    b.rule(name="in", when={"carrier": True}, study_complete_after=QUIET, recover={}, send_to=["PACS"])
    pacs.start()
    b.start()
    a.start()
    hospital.storescu(some_ct(data, 3), a.port, "CLINIC_A")
    hospital.wait_for("the PACS", lambda: len(pacs.files()) == 3, 120)
    done = run("audit", "read-back", "CLINIC_B", "--json", "--config", a.config_path)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["run"]["outcomes"]["intact"] == 3, done.stdout + done.stderr
