#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What becomes of every file of the test data: received, decoded, protected, recovered, or refused and why.

    conformance.py --write            runs all of them and writes docs/conformance.md
    conformance.py [--write] us/ nm/  only those: prints their lines, or writes them into the page

Answers come from the programs of $DICOMSTEGO_BUILD; whether they are right is judged by manifest.tsv (hashes of other
people's decoders) and by pydicom (compare.py). test_conformance.py compares a fresh run with the committed page.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import compare
import conformance_page
import hospital
import rawdicom
from conformance_page import REASONS, Outcome, is_dicom, rows

PAGE = hospital.ROOT / "docs" / "conformance.md"
REPORT = b"FINDINGS: an invented report.\nIMPRESSION: it comes back as it was.\n"
PASSWORD = b"correct horse\n"
WORKERS = 2
DEFLATED = "1.2.840.10008.1.2.1.99"
TIMEOUT_S = 300
CHUNK = 200
# What the cells are once they are decoded (PS3.3 C.7.6.3.1.2, PS3.5 8.2.4).
NATIVE_COLOUR = {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "YBR_FULL_422": "YBR_FULL"}

NOT_DICOM = Outcome("no DICOM", *[""] * 6)
FAULT = Outcome(*["FAULT"] * 7)  # the run itself failed: never in a page that is committed


def reason_of(message):
    """The class of a refusal; a new kind of message fails the run, so that no row stays unexplained."""
    for name, pattern, _ in REASONS[1:]:
        if re.search(pattern, message, re.IGNORECASE):
            return name
    raise AssertionError(f"a refusal of no known kind: {message}")


def run(*arguments, codes=(0,)):
    done = subprocess.run([hospital.binary("dicomstego"), *map(str, arguments)], capture_output=True, text=True,
                          errors="replace", timeout=TIMEOUT_S * hospital.slow(), check=False)
    assert done.returncode in codes, f"{arguments}: {done.returncode}\n{done.stderr}"
    return done


def refusal(done, path):
    """The one line that a refusal prints, without the file's name."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("dicomstego: "), (path, done.returncode, lines)
    return lines[0].removeprefix("dicomstego: ").removeprefix(f"{path}: ")


# ---- decoded ----


def hashes(paths):
    """Our hashes of each file, or why there are none: a dictionary by path. Many files in one run."""
    done = run("inspect", "--json", "--hashes", *paths, codes=(0, 1))
    found = {fact["file"]: fact for fact in json.loads(done.stdout)}
    for line in done.stderr.splitlines():
        name, _, text = line.removeprefix("dicomstego: ").partition(": ")
        found[name] = {"refused": text}
    return found


def decoded(row, facts):
    if "refused" in facts:
        return reason_of(facts["refused"])
    if "pixel_hash" not in facts:
        return reason_of(facts["no_pixel_hash"])
    expected = row.facts["pixel_sha256"]
    if expected == "-":
        return "alone"
    if facts["pixel_hash"] == expected:
        return "equal"
    if row.facts["two_decoders_agree"] == "0":
        return "disputed"
    return "rounded" if row.facts["lossy"] == "1" else "DIFFERS"


# ---- protected and recovered ----


class Bench:
    """A folder with a report and a password, in which one file after the other is protected and recovered."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "report.txt").write_bytes(REPORT)
        (self.folder / "password").write_bytes(PASSWORD)

    def protect(self, path, out):
        return run("protect", "--effort", "fast", "--unsuitable", "sidecar", "--report", self.folder / "report.txt",
                   "--password-file", self.folder / "password", "-o", out, path, codes=(0, 1, 3, 6))

    def recover(self, folder, out):
        return run("recover", "--password-file", self.folder / "password", "-o", out, folder)


def placement(done, path):
    """Where the capsule went: into the pixels, or beside them and why."""
    beside = re.search(rf"^{re.escape(str(path))}: sidecar: (.*)$", done.stdout, re.MULTILINE)
    return f"beside: {reason_of(beside[1])}" if beside else "pixels"


def equal_sets(original, delivered):
    """Element by element by pydicom, Pixel Data left to its hash; None where pydicom cannot read them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            a, b = compare.read(original), compare.read(delivered)
            if not compare.is_native(a) and "PhotometricInterpretation" in a:
                for ds in (a, b):
                    colour = str(ds.PhotometricInterpretation)
                    ds.PhotometricInterpretation = NATIVE_COLOUR.get(colour, colour)
            for ds in (a, b):
                if compare.PIXEL_DATA in ds:
                    del ds[compare.PIXEL_DATA]
            return not compare.differences(a, b)
        except Exception:  # whatever a broken file does to another reader
            return None


def pixel_readings(path):
    """Pixel Data as other programs read it: pydicom, DCMTK's tools, Pillow. Which of them can, differs."""
    ds = compare.read(path)
    if not ds.file_meta.TransferSyntaxUID.is_compressed:
        cells = compare.np.frombuffer(stored_bytes(ds), "u1")
        yield cells.tobytes()
        for width in (2, 4):  # a big endian file has words of its VR or of its cells
            if len(cells) % width == 0:
                yield cells.reshape(-1, width)[:, ::-1].tobytes()
        return
    decoded = compare.native(path)
    if compare.is_native(decoded):
        yield stored_bytes(decoded)
    ds.decompress("pillow")
    yield stored_bytes(ds)


def stored_bytes(ds):
    bits = ds.Rows * ds.Columns * int(ds.get("NumberOfFrames", 1) or 1) * ds.SamplesPerPixel * ds.BitsAllocated
    return bytes(ds.PixelData)[:(bits + 7) // 8]


def others_read(path, expected):
    """Does any other reader find pixels with this hash?"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return any(compare.hashlib.sha256(b).hexdigest() == expected for b in pixel_readings(path))
        except Exception:  # no decoder, or a file that is broken: then only our own word stands
            return False


def judge(row, original, back, before):
    """Pixel, dataset and file hash of what came back: = by others' code, (=) by our own, else what is wrong."""
    after = hashes([back])[str(back)]
    same_file = compare.file_hash(original) == compare.file_hash(back)
    marks = []
    if same_file:
        marks = ["="] * 2
    else:
        own = after.get("pixel_hash") == before.get("pixel_hash")
        marks.append(("=" if others_read(back, row.facts["pixel_sha256"]) else "(=)") if own else "DIFFERS")
        sets = equal_sets(original, back)
        own = after["dataset_hash"] == before["dataset_hash"]
        unlike = "(~)" if row.path.startswith("malformed/") else "DIFFERS"
        marks.append(("=" if sets else "(=)" if sets is None else unlike) if own else "DIFFERS")
    if "pixel_hash" not in before:
        marks[0] = "none"
    return [*marks, "=" if same_file else "no"]


def carried(bench, row, path, facts):
    """The last five cells of a row."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        out, back = Path(folder) / "out", Path(folder) / "back"
        out.mkdir()
        back.mkdir()
        done = bench.protect(path, out)
        if done.returncode != 0:
            assert list(out.iterdir()) == [], f"{path}: something was left behind"
            return [reason_of(refusal(done, path)), "", "", "", ""]
        where = placement(done, path)
        bench.recover(out, back)
        assert (back / "report.txt").read_bytes() == REPORT, f"{path}: the report"
        restored = back / path.name
        return [where, "yes", *judge(row, path, restored, facts)]


# ---- received ----


def sendable(row, path):
    """(SOP class, SOP instance, transfer syntax, data set) as a sender would announce them, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            data = path.read_bytes()
            body = compare.data_set_bytes(data)
        except (OSError, IndexError):
            return None
    uids = [row.facts[name] for name in ("sop_class_uid", "sop_uid", "transfer_syntax_uid")]
    if uids[2] == "-":
        uids[2] = compare.IMPLICIT_LE
    if not all(re.fullmatch(r"[0-9.]{3,64}", uid) for uid in uids) or not body:
        return None
    if uids[2] == DEFLATED:
        body += b"\0" * (len(body) % 2)  # PS3.5 A.5
    return (*uids, body) if len(body) % 2 == 0 else None


def send_all(node, instances):
    """The status of each, by index; None: the context was refused; text: the association was lost."""
    answers, waiting = {}, list(enumerate(instances))
    while waiting:
        pairs = list(dict.fromkeys((i[0], i[2]) for _, i in waiting))[:120]
        now = [w for w in waiting if (w[1][0], w[1][2]) in pairs]
        waiting = [w for w in waiting if (w[1][0], w[1][2]) not in pairs]
        link = None
        for index, (sop_class, sop_uid, syntax, body) in now:
            try:
                link = link or rawdicom.Association(node.port, node.ae_title, contexts=[(c, [s]) for c, s in pairs],
                                                    timeout=60 * hospital.slow())
                context = 2 * pairs.index((sop_class, syntax)) + 1
                answers[index] = link.store(context, sop_class, sop_uid, body, 131060) \
                    if context in link.accepted else None
            except (OSError, rawdicom.Refused):
                answers[index], link = "aborted", None
        if link is not None:
            link.release()
    return answers


def received(data, chosen):
    """What a running node answered to each, by path, and whether it kept the very bytes."""
    cells = {r.path: "not sendable" for r in chosen}
    sent = [(r, sendable(r, data / r.path)) for r in chosen]
    sent = [(r, s) for r, s in sent if s is not None]
    with hospital.Stage() as stage:
        node = stage.node("A", "CLINIC_A")
        node.peer("CT1", ae_title="CT1", hosts=["127.0.0.1"])
        node.start()
        answers = send_all(node, [s for _, s in sent])
        hospital.wait_for("an empty spool", lambda: not list((node.state / "spool" / "new").iterdir()), 120,
                          alive=node.program)
        kept = {compare.file_hash(p) for p in node.archive()}
        aside = {compare.file_hash(p) for p in (node.state / "quarantine").glob("*.dcm")}
        for i, (row, instance) in enumerate(sent):
            cells[row.path] = arrival(answers[i], compare.hashlib.sha256(instance[3]).hexdigest(), kept, aside)
    return cells


def arrival(answer, digest, kept, aside):
    if answer is None:
        return "not accepted"
    if answer == 0:
        return "yes" if digest in kept else "quarantine" if digest in aside else "LOST"
    return f"{answer:04X}H" if isinstance(answer, int) else answer


# ---- all of it ----


def outcomes(data, chosen):
    """What became of each row, by path."""
    found = {r.path: NOT_DICOM for r in chosen if not is_dicom(r)}
    chosen = [r for r in chosen if is_dicom(r)]
    stored = received(data, chosen)
    with tempfile.TemporaryDirectory(prefix="dicomstego-") as folder:
        bench = Bench(folder)

        def one(row):
            path = data / row.path
            facts = hashes([path])[str(path)]
            first = stored[row.path], decoded(row, facts)
            if "refused" in facts:
                done = bench.protect(path, Path(folder) / "never")
                assert done.returncode == 1 and reason_of(refusal(done, path)) == first[1], row.path
                return row.path, Outcome(*first, first[1], *[""] * 4)
            return row.path, Outcome(*first, *carried(bench, row, path, facts))

        def guarded(row):
            try:
                return one(row)
            except Exception as error:  # the others shall be seen, too; test_conformance.py fails on any
                print(f"{row.path}: {error}", file=sys.stderr)
                return row.path, FAULT

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            found.update(pool.map(guarded, chosen))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/conformance.md; else print lines")
    parser.add_argument("prefixes", nargs="*", default=[""], help="only files below; the page's other lines stay")
    options = parser.parse_args()
    data = hospital.data_folder()
    if data is None:
        sys.exit("no real images: set DICOMSTEGO_TEST_DATA")
    every = rows(data)
    chosen = [r for r in every if r.path.startswith(tuple(options.prefixes))]
    before = conformance_page.read(PAGE.read_text()) if PAGE.exists() else {}
    found = {r.path: conformance_page.outcome(before, r.path) or FAULT for r in every}
    for at in range(0, len(chosen), CHUNK):
        part = chosen[at:at + CHUNK]
        found.update(outcomes(data, part))
        if options.write:  # now and then: a run that is stopped has not run for nothing
            PAGE.write_text(conformance_page.text(every, found))
        for row in () if options.write else part:
            print(row.path, *found[row.path], sep=" | ", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("DICOMSTEGO_BUILD", str(hospital.ROOT / "build" / "release"))
    main()
