# SPDX-License-Identifier: Apache-2.0
"""A flow of images into a node: studies that this module makes, and honest senders.

A sender keeps to the protocol as a modality does: what was answered 0000H it counts as stored and never sends again;
whatever else happens (refused, aborted, reset, A700, no answer) it sends again after a moment.
"""
import hashlib
import io
import queue
import threading
import time
from collections import Counter

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

import compare
import hospital
import rawdicom

ROWS = COLUMNS = 128
AGAIN_S = 0.1
CALLING_AE = "CT1"


class Instance:
    """One image: data is the data set in Explicit VR Little Endian, as it goes over the wire."""

    def __init__(self, study, uid, data):
        self.study, self.uid, self.data = study, uid, data
        self.digest = hashlib.sha256(data).hexdigest()


def _uid(rng):
    return f"2.25.{rng.getrandbits(122) | 1 << 122}"


def _image(noise):
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    soft = 1000 + 300 * np.sin(x / 23.0) * np.cos(y / 31.0) + 2 * x
    return np.clip(soft + noise.normal(0, 8, soft.shape), 0, 4095).astype("<u2")


def _data_set(rng, noise, study, series, number):
    ds = Dataset()
    ds.SOPClassUID = rawdicom.CT
    ds.SOPInstanceUID = _uid(rng)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.StudyDate, ds.StudyTime = "20240102", "081500"
    ds.Modality = "CT"
    ds.Manufacturer = "nobody"
    ds.PatientName, ds.PatientID = "Nobody^Flow", "FLOW"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.AccessionNumber = "F" + study[-8:]
    ds.SeriesNumber, ds.InstanceNumber = 1, number
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleIntercept, ds.RescaleSlope = "-1024", "1"
    ds.PixelData = _image(noise).tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _encoded(ds):
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    ds.file_meta.ImplementationClassUID = "1.2.3"
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.preamble = b"\0" * 128
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, write_like_original=False)
    return compare.data_set_bytes(out.getvalue())


def make_studies(rng, studies, each):
    """Lists of instances, one for each study; the same rng makes the same bytes."""
    noise = np.random.default_rng(rng.getrandbits(32))
    made = []
    for _ in range(studies):
        study, series = _uid(rng), _uid(rng)
        sets = [_data_set(rng, noise, study, series, i + 1) for i in range(each)]
        made.append([Instance(study, str(ds.SOPInstanceUID), _encoded(ds)) for ds in sets])
    return made


class Flow:
    """Senders that share studies. targets: (port, AE title) of the nodes, which they take in turns.

    pace_s: how long a sender rests for each instance, so that the flow lasts while things break; burst: after how many
    at once, at full speed.
    """

    def __init__(self, studies, targets, senders=4, pace_s=0.0, burst=1):
        self.instances = {i.uid: i for study in studies for i in study}
        self.targets, self.pace_s, self.burst = list(targets), pace_s, burst
        self.acknowledged = {}  # UID -> times answered 0000H: more than one would be a sender's fault
        self.answers = Counter()  # what else came instead
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._more = threading.Condition(self._lock)
        self._studies = queue.SimpleQueue()
        for study in studies:
            self._studies.put(study)
        self._threads = [threading.Thread(target=self._send_all, args=(n,), daemon=True) for n in range(senders)]

    def start(self):
        for thread in self._threads:
            thread.start()
        return self

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def running(self):
        return any(t.is_alive() for t in self._threads)

    def share(self):
        """How much of it is acknowledged, 0 to 1."""
        return len(self.acknowledged) / len(self.instances)

    def reach(self, share, timeout=120, alive=None):
        """Waits until so much of it is acknowledged."""
        hospital.wait_for(f"{share:.0%} of the flow", lambda: self.share() >= share, timeout, 0.02, alive=alive)

    def await_another(self, timeout_s):
        """Returns at once when the next instance is acknowledged; with False when none is for so long."""
        with self._more:
            return self._more.wait(timeout_s)

    def finish(self, timeout=180):
        hospital.wait_for("every instance to be acknowledged", lambda: not self.running(), timeout, 0.05)
        assert self.share() == 1.0

    def _send_all(self, number):
        turn = number
        while not self._stop.is_set():
            try:
                left = list(self._studies.get_nowait())
            except queue.Empty:
                return
            while left and not self._stop.is_set():
                left = self._send_some(left, self.targets[turn % len(self.targets)])
                turn += 1
                if left:
                    time.sleep(AGAIN_S)

    def _send_some(self, instances, target):
        """Over one association, until it breaks. Returns what is not acknowledged."""
        left = list(instances)
        association = None
        try:
            association = rawdicom.Association(target[0], target[1], CALLING_AE, timeout=20 * hospital.slow())
            if 1 not in association.accepted:
                raise rawdicom.Refused(-1)
            for number, instance in enumerate(instances, 1):
                if self._stop.is_set():
                    break
                status = association.store(1, rawdicom.CT, instance.uid, instance.data)
                self._note(instance, status)
                if status == 0:
                    left.remove(instance)
                if number % self.burst == 0:
                    time.sleep(self.pace_s * self.burst)
            association.release()
        except rawdicom.Refused as e:
            self._count(f"ended by PDU {e.args[0]}")
        except OSError as e:
            self._count(type(e).__name__)
        finally:
            if association is not None:
                association.close()
        return left

    def _note(self, instance, status):
        with self._lock:
            if status == 0:
                self.acknowledged[instance.uid] = self.acknowledged.get(instance.uid, 0) + 1
                self._more.notify_all()
            else:
                self.answers[f"{status:04X}"] += 1

    def _count(self, what):
        with self._lock:
            self.answers[what] += 1
