# SPDX-License-Identifier: Apache-2.0
"""Was every acknowledged instance delivered exactly once, and right? Counted by content, at the sink.

An instance is its SOP Instance UID and the SHA-256 of its data set's bytes: what is equal in these is equal in pixel and
dataset hash, too. What differs in bytes is read with pydicom and counts as right when both hashes are equal.

Where an answer is lost on the way (the peer stored, and the node was killed before it knew), DICOM leaves the sender no
choice: it sends the same bytes under the same UID again. That is one instance by content; `sent again` counts it.
"""
import io
import time
from dataclasses import dataclass, field

import pydicom

import compare
import hospital

CAPSULED_REPORTS = ("1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.88.11")
QUIET_S = 2.0


@dataclass
class Counts:
    acknowledged: int = 0
    delivered: int = 0
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0
    reports: int = 0
    sent_again: int = 0
    notes: list = field(default_factory=list)

    def __str__(self):
        line = (f"acknowledged {self.acknowledged}, delivered {self.delivered}, lost {self.lost}, "
                f"duplicates {self.duplicates}, wrong {self.wrong}; reports {self.reports}, "
                f"sent again {self.sent_again}")
        return "; ".join([line, *self.notes])

    def hold(self, sent_again=0, reports=None):
        """The promises. sent_again: how many answers may have been lost on the way at most."""
        assert (self.lost, self.duplicates, self.wrong) == (0, 0, 0), str(self)
        assert self.delivered == self.acknowledged, str(self)
        assert self.sent_again <= sent_again, str(self)
        assert reports is None or self.reports == reports, str(self)


def _same(original, data):
    one, other = (_read(d) for d in (original, data))
    return compare.pixel_hash_of(one) == compare.pixel_hash_of(other) and not compare.differences(one, other)


def _read(data):
    ds = pydicom.dcmread(io.BytesIO(data), force=True)
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = compare.EXPLICIT_LE
    return ds


def _missing(flow, sink):
    return [uid for uid in list(flow.acknowledged) if uid not in sink.uids()]


def settle(flow, sink, alive=(), timeout=150):
    """Waits until all is there or nothing has come for a while, then for what would come too often."""
    patience = timeout * hospital.slow()
    newest, seen = time.monotonic(), -1
    while _missing(flow, sink) and time.monotonic() - newest < patience:
        for node in alive:
            assert node.running(), f"{node.name} ended\n{node.log.read_text(errors='replace')[-3000:]}"
        if sink.arrivals() != seen:
            newest, seen = time.monotonic(), sink.arrivals()
        time.sleep(0.1)
    while sink.arrivals() != seen:
        seen = sink.arrivals()
        time.sleep(QUIET_S)


def _held_by(node):
    """Where a node's instances are, for whoever reads of a loss."""
    try:
        deliveries = node.psql("SELECT state, count(*), min(cause) FROM deliveries GROUP BY 1 ORDER BY 1")
        unplanned = node.psql("SELECT kind, count(*) FROM instances WHERE generation IS NULL GROUP BY 1 ORDER BY 1")
    except (hospital.Failed, OSError, IndexError) as e:
        deliveries, unplanned = e, "?"
    spool = [p.name for p in (node.state / "spool").rglob("*") if p.is_file()]
    quarantine = len(list((node.state / "quarantine").glob("*.reason")))
    return (f"{node.name}: deliveries {deliveries}, not planned by kind {unplanned}, spool {spool}, "
            f"quarantine {quarantine}")


def count(flow, sink, nodes=()):
    """nodes: who is asked where the rest is, when something is missing."""
    counts = Counts(acknowledged=len(flow.acknowledged))
    right = set()
    for (uid, digest), arrived in sink.stored().items():
        counts.sent_again += arrived.times - 1
        if uid in flow.instances:
            original = flow.instances[uid]
            if digest != original.digest and not _same(original.data, arrived.data):
                counts.wrong += 1
                counts.notes.append(f"differs: {uid}")
            elif uid in right:
                counts.duplicates += 1
            else:
                right.add(uid)
        elif arrived.class_uid in CAPSULED_REPORTS:
            counts.reports += 1
        else:
            # Under another UID: a carrier that was passed off, or the same image made twice.
            counts.duplicates += 1
            counts.notes.append(f"nobody sent {arrived.class_uid} {uid}")
    counts.delivered = sum(uid in right for uid in flow.acknowledged)
    counts.lost = sum(uid not in sink.uids() for uid in flow.acknowledged)
    if counts.lost:
        counts.notes += [_held_by(node) for node in nodes]
    if flow.answers:
        counts.notes.append("senders saw " + ", ".join(f"{k} {n}x" for k, n in sorted(flow.answers.items())))
    return counts
