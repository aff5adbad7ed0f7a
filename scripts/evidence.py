# SPDX-License-Identifier: Apache-2.0
"""What lies where after the demo, compared with what was sent, and said in a table and in pictures.

Nothing here believes the programs on show: pixels and attributes are compared by tests/system/compare.py.
Only the number of hidden bits is node A's own record.
"""
import statistics

import numpy as np
import pydicom
from PIL import Image

import compare

DIFFERENCE_GAIN = 64
BASIC_TEXT_SR = "1.2.840.10008.5.1.4.1.1.88.11"


def known_hashes(study):
    """pixel_sha256 by SOP Instance UID for files of a collection that has a manifest.tsv above them."""
    folder = next(iter(study.values())).path.resolve().parent
    data = next((p for p in (folder, *folder.parents) if (p / "manifest.tsv").exists()), None)
    if data is None:
        return {}
    by_path = compare.manifest(data)
    named = ((u, str(o.path.resolve().relative_to(data))) for u, o in study.items())
    return {u: by_path[p] for u, p in named if by_path.get(p, "-") != "-"}


class Evidence:
    """What lies where at the end, compared."""

    def __init__(self, theatre, delivered):
        self.study, self.delivered = theatre.study, delivered
        self.received, self.carriers, self.restored = {}, {}, {}
        for path in theatre.a.archive():
            uid = compare.uid_of(path)
            if uid in self.study:
                self.received[uid] = path
        for path in theatre.b.archive():
            self._sort_b(path)
        self.at_a = {u: compare.Comparison(self.study[u].path, p) for u, p in self.received.items()}
        self.in_pacs = {u: compare.Comparison(self.study[u].path, p, self.received.get(u))
                        for u, p in delivered.items()}
        # What a PACS does to a file's encoding is its own affair: the file is also compared at node B's door.
        self.at_b = {u: compare.Comparison(self.study[u].path, p, self.received.get(u))
                     for u, p in self.restored.items()}
        self.placement, self.psnr, self.greatest = {}, {}, {}
        for uid in self.study:
            self._carrier(uid)

    def _sort_b(self, path):
        ds = pydicom.dcmread(str(path), stop_before_pixels=True, force=True)
        uid, source = str(ds.get("SOPInstanceUID", "")), compare.source_uid(ds)
        if uid in self.study:
            self.restored[uid] = path
        elif source in self.study:
            self.carriers[source] = path

    def _carrier(self, uid):
        if uid not in self.carriers:
            self.placement[uid] = "untouched" if uid in self.delivered else "missing"
            return
        carrier = compare.read(self.carriers[uid])
        if compare.is_sidecar(carrier):
            self.placement[uid] = "sidecar"
            return
        self.placement[uid] = "pixels"
        original = compare.native(self.study[uid].path)
        self.psnr[uid], self.greatest[uid] = compare.distortion(original, carrier)

    def placed(self, where):
        return [u for u, p in self.placement.items() if p == where]


def hidden_bits(node):
    """What a node recorded for each carrier that it sent: payload and side information, in bits."""
    return [int(row[0]) for row in node.psql("SELECT hidden_bits FROM deliveries WHERE hidden_bits > 0")]


def report_texts(paths):
    """The text of each report object that came to the PACS."""
    texts = []
    for path in paths:
        ds = compare.read(path)
        if str(ds.SOPClassUID) == BASIC_TEXT_SR:
            texts.append("\n".join(str(i.TextValue) for i in ds.ContentSequence if "TextValue" in i))
    return texts


def same_text(a, b):
    """Line by line; DICOM text has CR LF line ends and no blanks at the end."""
    def lines(text):
        return [line.rstrip() for line in text.replace("\r\n", "\n").rstrip().split("\n")]
    return lines(a) == lines(b)


def count(values, total):
    good = sum(bool(v) for v in values)
    return f"{good} equal" if good == total else f"{good} of {total}"


def line(label, number, *cells):
    print(f"  {label:<34}{number:>6}" + "".join(f"{c:>16}" for c in cells))


class Verdict:
    """Prints the table; ok() says whether every byte is equal."""

    def __init__(self, theatre, evidence, report, report_objects, known_hashes):
        self.t, self.e = theatre, evidence
        self.report, self.report_objects, self.known = report, report_objects, known_hashes
        self.failures = []

    def require(self, holds, text):
        if not holds:
            self.failures.append(text)

    def hashes(self, label, comparisons, file_promised):
        total = len(self.e.study)
        line(label, len(comparisons), count((c.pixel for c in comparisons.values()), total),
             count((c.dataset for c in comparisons.values()), total),
             count((c.file for c in comparisons.values()), total))
        for uid, c in comparisons.items():
            name = self.e.study[uid].path.name
            self.require(c.pixel, f"{label}: {name}: pixels differ")
            self.require(c.dataset, f"{label}: {name}: differs in {', '.join(c.differing[:5])}")
            compressed = self.e.study[uid].compressed and uid in self.e.carriers
            self.require(c.file or not file_promised or compressed, f"{label}: {name}: file bytes differ")

    def instances(self, sender):
        total = len(self.e.study)
        line("", "number", "pixel hash", "dataset hash", "file hash")
        line(f"sent by the modality ({sender})", total)
        # A sender may write the file anew before it sends; what the file hash is taken over is what came.
        self.hashes("received by hospital A", self.e.at_a, False)
        line("delivered to hospital B", len(self.e.restored))
        self.hashes("restored by hospital B", self.e.at_b, True)
        kind = self.t.pacs.kind
        self.hashes(f"in the PACS of B ({kind})", self.e.in_pacs, kind == "dcmqrscp")
        for label, found in (("received by A", self.e.at_a), ("restored by B", self.e.at_b),
                             ("in the PACS", self.e.in_pacs)):
            self.require(len(found) == total, f"{len(found)} of {total} instances {label}")

    def manifest(self):
        if not self.known:
            return
        decoded = {u: compare.native(p) for u, p in self.e.delivered.items() if u in self.known}
        right = [compare.pixel_hash_of(ds) == self.known[u] for u, ds in decoded.items() if compare.is_native(ds)]
        line("as an independent decoder hashed", len(right), count(right, len(right)))
        self.require(all(right), "pixel_sha256 of manifest.tsv differs")
        self.require(len(decoded) == len(self.known), "instances that manifest.tsv knows are missing")

    def hiding(self):
        in_pixels = self.e.placed("pixels")
        print(f"\n  carriers: {len(in_pixels)} in the pixels, {len(self.e.placed('sidecar'))} as sidecar, "
              f"{len(self.e.placed('untouched'))} untouched")
        if not in_pixels:
            return
        bits = hidden_bits(self.t.a) or [0]
        psnr = [self.e.psnr[u] for u in in_pixels]
        print(f"  hidden: {min(bits)} to {max(bits)} bits an instance, {sum(bits)} together "
              f"({sum(bits) / 8 / 1024:.1f} KiB)")
        print(f"  carrier against original: PSNR {min(psnr):.1f} dB at worst, {statistics.median(psnr):.1f} "
              f"in the middle; greatest difference {max(self.e.greatest.values())} of "
              f"{self.peak(in_pixels)} values")

    def peak(self, uids):
        values = compare.samples(compare.native(self.e.study[uids[len(uids) // 2]].path))
        return int(values.max() - values.min() + 1)

    def reports(self):
        equal = [same_text(t, self.report) for t in report_texts(self.report_objects)]
        print(f"  report: {len(self.report.encode())} bytes dropped at A, {len(equal)} in the PACS of B, "
              f"text {'equal' if any(equal) else 'NOT EQUAL'}")
        self.require(any(equal), "the report in the PACS is not the one that was dropped")

    def ok(self):
        for text in self.failures[:12]:
            print(f"  WRONG: {text}")
        if len(self.failures) > 12:
            print(f"  WRONG: and {len(self.failures) - 12} more")
        print("\n  " + ("every byte that was promised is equal" if not self.failures
                        else f"{len(self.failures)} things are not as promised"))
        return not self.failures


def to_8_bit(values, low, high):
    scaled = (values.astype(np.float64) - low) / max(high - low, 1)
    return (np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def window(values):
    """A window that shows the body and not the padding: between the 1st and 99th percentile of what is not the minimum."""
    inside = values[values > values.min()]
    if inside.size == 0:
        inside = values
    low, high = np.percentile(inside, (1, 99))
    return (low, high) if high > low else (values.min(), values.max())


def pictures(evidence, folder):
    """Cover, carrier, difference and restored of one instance in the middle of the study."""
    uids = evidence.placed("pixels")
    if not uids:
        print("  pictures: none, as nothing was hidden in pixels")
        return
    uid = uids[len(uids) // 2]
    sources = {"cover": evidence.study[uid].path, "carrier": evidence.carriers[uid],
               "restored": evidence.delivered.get(uid)}
    frames = {k: compare.samples(compare.native(p))[0] for k, p in sources.items() if p}
    low, high = window(frames["cover"])
    inverted = compare.read(evidence.study[uid].path).PhotometricInterpretation == "MONOCHROME1"
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in frames.items():
        grey = to_8_bit(values, low, high)
        Image.fromarray(255 - grey if inverted else grey).save(folder / f"{name}.png")
    gap = DIFFERENCE_GAIN * (frames["carrier"] - frames["cover"]) + 128
    Image.fromarray(np.clip(gap, 0, 255).astype(np.uint8)).save(
        folder / f"difference-x{DIFFERENCE_GAIN}.png")
    print(f"  pictures: {folder}/ cover.png carrier.png difference-x{DIFFERENCE_GAIN}.png restored.png "
          f"({evidence.study[uid].path.name})")
