# SPDX-License-Identifier: Apache-2.0
"""C-MOVE and C-GET as DCMTK's movescu and getscu ask for them, and the real instances they are asked for."""
import re
import subprocess
from collections import namedtuple

import hospital

CANDIDATES = 320  # some of them DCMTK cannot send
FOLDERS = ("ct/", "enhanced/", "us/", "xray/", "xa/", "nm/", "syntaxes/", "nonimage/", "mr/")
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")

Row = namedtuple("Row", "path patient study series uid syntax pixels")


def real_instances(data, count=CANDIDATES):
    """Of the real data: so many, each UID once, of every kind that is no malformed one."""
    lines = (data / "manifest.tsv").read_text().splitlines()
    names = lines[0].split("\t")
    rows, seen = [], set()
    for folder in FOLDERS:
        for line in lines[1:]:
            c = dict(zip(names, line.split("\t")))
            uid = c["sop_uid"]
            if not c["path"].startswith(folder) or uid in seen or "-" in (uid, c["study_uid"], c["series_uid"]):
                continue
            seen.add(uid)
            rows.append(Row(data / c["path"], c["patient_id"], c["study_uid"], c["series_uid"], uid,
                            c["transfer_syntax_uid"], c["pixel_sha256"]))
    return rows[:count]


def sent(text):
    """How many dcmsend says that it has sent."""
    return int(re.findall(r"with status SUCCESS\s*: (\d+)", text)[-1])


Answer = namedtuple("Answer", "returncode status completed failed warning remaining text")


def _number(text, name):
    found = re.findall(rf"{name} Suboperations\s*: (\d+|none)", text)
    return int(found[-1]) if found and found[-1] != "none" else None


def _ask(argv, timeout=240):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace",
                          timeout=timeout * hospital.slow())
    text = done.stdout + done.stderr
    status = re.findall(r"DIMSE Status\s*: 0x([0-9a-fA-F]{4})", text)
    return Answer(done.returncode, status[-1].lower() if status else None, _number(text, "Completed"),
                  _number(text, "Failed"), _number(text, "Warning"), _number(text, "Remaining"), text)


def _keys(level, patient=None, study=None, series=None, uid=None):
    keys = ["-k", f"0008,0052={level}"]
    for tag, value in (("0010,0020", patient), ("0020,000D", study), ("0020,000E", series), ("0008,0018", uid)):
        if value is not None:
            keys += ["-k", f"{tag}={value}"]
    return keys


def movescu(scp, destination, level, calling="ASKER", model="-S", options=(), **keys):
    return _ask(["movescu", "-d", model, "-aet", calling, "-aec", scp.ae_title, "-aem", destination, *options,
                 *_keys(level, **keys), hospital.LOOPBACK, scp.port])


def getscu(scp, folder, level, calling="ASKER", model="-S", options=(), **keys):
    folder.mkdir(exist_ok=True)
    return _ask(["getscu", "-d", "+B", model, "-aet", calling, "-aec", scp.ae_title, "-od", folder, *options,
                 *_keys(level, **keys), hospital.LOOPBACK, scp.port])
