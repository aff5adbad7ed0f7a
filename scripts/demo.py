#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
scripts/demo [FOLDER] [options]: two hospitals on this machine, one study, one report.

  modality --C-STORE--> node A == mutual TLS ==> node B --C-STORE--> PACS of hospital B

FOLDER holds a study's DICOM files; without it a phantom CT of 40 slices is made. A report is dropped
into hospital A's folder. At the end every instance in the PACS is compared with what was sent, by
pydicom and numpy and not by the programs on show. The exit status is 0 when every byte is equal.

  --pacs dcmqrscp|orthanc     what stands for hospital B's PACS (dcmqrscp)
  --sender storescu|dcmsend   what stands for the modality (storescu; dcmsend when files are compressed)
  --through orthanc           node A delivers to an Orthanc archive that knows nothing of this, and the
                              archive forwards what it stored to node B
  --unsuitable sidecar|pass   what happens to images that are too small to hide in (sidecar)
  --pictures FOLDER           where the PNG pictures go (a new folder under /tmp)
  --timeout SECONDS           how long to wait for the last instance (180)
  --keep                      leave everything running, and say how to look at it and how to stop it
"""
import argparse
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "system")]

import pydicom  # noqa: E402

import compare  # noqa: E402
import evidence  # noqa: E402
import hospital  # noqa: E402
import phantom  # noqa: E402

QUIET_SECONDS = 3  # a study counts as complete after this long without a new instance
REPORT = """\
RADIOLOGY REPORT

Study:      {description}
Accession:  {accession}
Compared:   none available

Findings
No consolidation, no effusion. Heart size within normal limits.
A round opacity of 8 mm in the left lung, smooth margin, no calcification.
Degenerative changes of the spine, no suspicious bone lesion.

Impression
1. Solitary nodule of 8 mm on the left. Follow-up CT in 6 to 12 months.
2. No acute disease.

This report was made up for a demonstration; it describes no patient. Reference {reference}.
"""


def arguments():
    parser = argparse.ArgumentParser(usage="scripts/demo [FOLDER] [options]", add_help=False)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--pacs", choices=("dcmqrscp", "orthanc"), default="dcmqrscp")
    parser.add_argument("--sender", choices=("storescu", "dcmsend"))
    parser.add_argument("--through", choices=("orthanc",))
    parser.add_argument("--unsuitable", choices=("sidecar", "pass"), default="sidecar")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--timeout", type=float, default=180)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    options = parser.parse_args()
    if options.help:
        print(__doc__.strip())
        sys.exit(0)
    if options.folder is not None and not options.folder.exists():
        parser.error(f"{options.folder} is not there")
    return options


class Original:
    def __init__(self, path, ds):
        self.path = path
        self.uid = str(ds.SOPInstanceUID)
        self.study_uid = str(ds.StudyInstanceUID)
        self.modality = str(ds.get("Modality", ""))
        self.accession = str(ds.get("AccessionNumber", "") or "")
        self.description = str(ds.get("StudyDescription", "") or "")
        self.compressed = compare.transfer_syntax(ds) not in compare.NATIVE


def originals(folder):
    """The instances under folder by SOP Instance UID; what is not DICOM is left out."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else [folder]:
        try:
            ds = pydicom.dcmread(str(path), stop_before_pixels=True)
            one = Original(path, ds)
        except (pydicom.errors.InvalidDicomError, AttributeError, OSError):
            continue
        if one.uid in found:
            print(f"left out: {path.name} has the SOP Instance UID of {found[one.uid].path.name}")
            continue
        found[one.uid] = one
    if not found:
        raise hospital.Failed(f"{folder} holds no DICOM instance")
    studies = {o.study_uid for o in found.values()}
    if len(studies) > 1:
        raise hospital.Failed(f"{folder} holds {len(studies)} studies: name a folder with one, or a file")
    return found


class Theatre:
    """The two hospitals and what stands between and around them."""

    def __init__(self, stage, options, study):
        self.stage, self.options, self.study = stage, options, study
        self.a, self.b = stage.node("A", "CLINIC_A"), stage.node("B", "CLINIC_B")
        self.pacs = stage.dcmqrscp("PACS") if options.pacs == "dcmqrscp" else stage.orthanc("PACS")
        self.between = stage.orthanc("ARCHIVE") if options.through else None
        self._peers()
        self._rules()

    def _peers(self):
        here = [hospital.LOOPBACK + "/32"]
        self.a.peer("CT1", ae_title="CT1", hosts=here, may=["echo", "store"])
        self.a.peer_node("CLINIC_B", self.b, associations=2)
        self.b.peer_node("CLINIC_A", self.a)
        self.b.peer("PACS", ae_title="PACS", hosts=here, host=hospital.LOOPBACK, port=self.pacs.port,
                    associations=1)
        if self.between is not None:
            self.between.forward_to(self.b.ae_title, self.b.port)
            self.a.peer("ARCHIVE", ae_title="ARCHIVE", hosts=here, host=hospital.LOOPBACK,
                        port=self.between.port, associations=1)
            self.b.peer("ARCHIVE", ae_title="ARCHIVE", hosts=here)

    def _rules(self):
        first_stop = "ARCHIVE" if self.between is not None else "CLINIC_B"
        self.a.rule(name="studies for clinic B", when={"calling_ae": ["CT1"]},
                    study_complete_after=f"{QUIET_SECONDS} s",
                    report={"wait": "10 min", "otherwise": "send_without"},
                    protect={"payload": "report", "recipients": ["CLINIC_B"], "redundancy": "25 %",
                             "unsuitable": self.options.unsuitable},
                    send_to=[first_stop])
        caller = "ARCHIVE" if self.between is not None else "CLINIC_A"
        self.b.rule(name="carriers from clinic A", when={"carrier": True, "calling_ae": [caller]},
                    study_complete_after=f"{QUIET_SECONDS} s", recover={"report_as": "dicom"},
                    send_to=["PACS"])
        self.b.rule(name="everything else from clinic A", when={"calling_ae": [caller]},
                    study_complete_after=f"{QUIET_SECONDS} s", send_to=["PACS"])

    def raise_curtain(self):
        for one in (self.pacs, self.between, self.b, self.a):
            if one is not None:
                one.start()

    def send(self):
        sender = self.options.sender
        if sender is None:
            sender = "dcmsend" if any(o.compressed for o in self.study.values()) else "storescu"
        files = [o.path for o in self.study.values()]
        getattr(hospital, sender)(files, self.a.port, self.a.ae_title)
        return sender

    def drop_report(self):
        first = next(iter(self.study.values()))
        name = first.accession if re.fullmatch(r"[A-Za-z0-9._-]+", first.accession) else first.study_uid
        text = REPORT.format(description=first.description or first.modality,
                             accession=first.accession or "none", reference=random.randbytes(8).hex())
        self.a.drop_report(f"{name}.txt", text.encode())
        return text

    def wait(self):
        """Until all originals and the report lie in the PACS. Returns (path by UID, report objects)."""
        seen, reports, read = {}, [], set()
        end = time.monotonic() + self.options.timeout * hospital.slow()
        while True:
            for path in self.pacs.files():
                if path in read or time.time() - path.stat().st_mtime < 0.2:
                    continue
                ds = pydicom.dcmread(str(path), stop_before_pixels=True, force=True)
                read.add(path)
                if str(ds.get("SOPInstanceUID", "")) in self.study:
                    seen[str(ds.SOPInstanceUID)] = path
                else:
                    reports.append(path)
            self._progress(len(seen))
            if len(seen) == len(self.study) and reports:
                break
            for program in self.stage.programs():
                if not program.running():
                    raise hospital.Failed(f"{program.name} ended\n{program.log_tail()}")
            if time.monotonic() > end:
                break
            time.sleep(0.25)
        self._progress(None)
        return seen, reports

    def _progress(self, restored):
        if not sys.stderr.isatty():
            return
        text = "" if restored is None else (
            f"at node A: {len(self.a.archive())}, at node B: {len(self.b.archive())}, "
            f"in the PACS: {restored} of {len(self.study)}")
        sys.stderr.write("\r\033[K" + text)
        sys.stderr.flush()


STOP_SCRIPT = """\
#!/bin/bash
# Stops what the demo left running and removes its folder.
folder={folder}
for pid in {pids}; do
    # Only what is still ours: the number may have been given to another process since.
    if ! tr '\\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -e "$folder"; then
        continue
    fi
    kill "$pid"
    for _ in $(seq 200); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
done
rm -rf "$folder"
"""


def keep(theatre):
    folder = theatre.stage.folder
    stop = folder / "stop"
    pids = " ".join(str(p.pid) for p in theatre.stage.programs())
    stop.write_text(STOP_SCRIPT.format(folder=shlex.quote(str(folder)), pids=pids))
    stop.chmod(0o700)
    a, b, pacs = theatre.a, theatre.b, theatre.pacs
    print(f"\n  everything is still running; to stop it and remove its folder: {stop}\n"
          f"    node A: port {a.port}, TLS {a.tls_port}, configuration {a.config_path}, log {a.log}\n"
          f"    node B: port {b.port}, TLS {b.tls_port}, configuration {b.config_path}, log {b.log}\n"
          f"    PACS:   port {pacs.port}, files in {pacs.storage}\n"
          f"    send another study:  storescu -aet CT1 -aec {a.ae_title} +sd 127.0.0.1 {a.port} FOLDER\n"
          f"    drop a report:       cp REPORT.txt {a.reports}/ACCESSIONNUMBER.txt")


def perform(stage, options):
    folder = options.folder
    if folder is None:
        folder = stage.folder / "phantom"
        phantom.write_study(folder)
    study = originals(folder)
    print(f"{len(study)} instances of {', '.join(sorted({o.modality for o in study.values()}))} in {folder}")
    theatre = Theatre(stage, options, study)
    theatre.raise_curtain()
    way = "node A" + (" -> Orthanc archive" if options.through else " == TLS") + " -> node B"
    print(f"running: {way} -> PACS ({options.pacs}), in {stage.folder}\n")
    started = time.monotonic()
    # The report comes first as often as last in life; the node pairs them either way.
    report = theatre.drop_report()
    sender = theatre.send()
    sent = time.monotonic()
    delivered, report_objects = theatre.wait()
    ended = time.monotonic()
    found = evidence.Evidence(theatre, delivered)
    verdict = evidence.Verdict(theatre, found, report, report_objects, evidence.known_hashes(study))
    verdict.instances(sender)
    verdict.manifest()
    verdict.hiding()
    verdict.reports()
    print(f"  time: sending {sent - started:.1f} s, until the last one was restored in the PACS "
          f"{ended - started:.1f} s (of which {2 * QUIET_SECONDS} s waiting for the study to be complete, "
          f"{QUIET_SECONDS} at each node)")
    evidence.pictures(found, options.pictures or Path(tempfile.mkdtemp(prefix="dicomstego-pictures-")))
    good = verdict.ok()
    if not good:
        for node in (theatre.a, theatre.b):
            print(node.program.log_tail(12), file=sys.stderr)
    if options.keep:
        keep(theatre)
    return good


def stop_everything(stage):
    """True when nothing is left running. A second Ctrl-C does not hurry this."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stage.stop()
    left = stage.left_behind()
    for pid, command in left:
        print(f"left running, now killed: {pid} {command[:100]}", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    stage.remove()
    return not left


def main():
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, frame: sys.exit(128 + n))
    stage = hospital.Stage(tempfile.mkdtemp(prefix="dicomstego-demo-"), options.keep)
    good, played = False, False
    try:
        good = perform(stage, options)
        played = True
    except hospital.Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
    except subprocess.SubprocessError as failure:
        print(f"demo: {failure}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
    finally:
        if not (options.keep and played):
            good = stop_everything(stage) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
