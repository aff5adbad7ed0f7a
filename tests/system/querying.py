# SPDX-License-Identifier: Apache-2.0
"""Queries as a workstation asks them: unmodified findscu, and its answers as tuples."""
import re
import subprocess
import tempfile
from pathlib import Path

import pydicom

import hospital


class Answer(list):
    """The matches of one query, as data sets; status is that of the final response."""

    def __init__(self, matches, status, pending):
        super().__init__(matches)
        self.status, self.pending = status, pending

    def tuples(self, *keywords):
        """Sorted, so that two archives can be compared; what is not there is ''."""
        return sorted(tuple(text(m.get(k)) for k in keywords) for m in self)


def text(value):
    if value is None:
        return ""
    if isinstance(value, pydicom.multival.MultiValue):
        return "\\".join(sorted(map(str, value)))
    return str(value)


def find(port, called, keys, model="-S", calling="CT1", options=()):
    """keys: texts as findscu's -k takes them. Its own code of the status is read out of its words."""
    with tempfile.TemporaryDirectory(prefix="dicomstego-find-") as folder:
        argv = ["findscu", "-d", model, "-X", "-od", folder, "-aet", calling, "-aec", called, *options,
                hospital.LOOPBACK, str(port)]
        for key in keys:
            argv += ["-k", key]
        done = subprocess.run(argv, capture_output=True, timeout=120)
        said = (done.stdout + done.stderr).decode(errors="replace")
        final = re.findall(r"DIMSE Status\s+: (0x[0-9a-f]{4})", said)
        pending = sorted({f for f in final if f in ("0xff00", "0xff01")})
        status = int(final[-1], 16) if final else None
        return Answer([pydicom.dcmread(p, force=True) for p in sorted(Path(folder).glob("rsp*.dcm"))],
                      status, pending)
