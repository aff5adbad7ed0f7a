#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""statement.py --write: fills the tables of docs/dicom-conformance-statement.md from the code's own tables.

They come from the program dicom_facts of $DICOMSTEGO_BUILD (tests/facts/dicom_facts.c).
"""
import json
import os
import re
import subprocess
import sys

import hospital

PAGE = hospital.ROOT / "docs" / "dicom-conformance-statement.md"
SECTION = re.compile(r"(<!-- made from the code: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# When the Storage AE answers it.
OCCASIONS = {
    "0000": "The instance is whole and on stable storage",
    "A700": "No space left above `node.min_free`, an error of the disk, or the data set did not come whole: send it again",
    "A900": "The data set is of another SOP class or instance than the command says",
    "C000": "The data set does not add up, or cannot be taken for one",
    "0122": "The command's SOP class is not that of its presentation context",
    "0124": "The calling AE may not store (`peers.NAME.may`)",
    "0211": "Another DIMSE service than C-STORE and C-ECHO",
}


def facts():
    done = subprocess.run([hospital.build_folder() / "tests" / "dicom_facts"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def table(head, lines):
    rows = [head, ["---"] * len(head), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def yes(is_so):
    return "yes" if is_so else "no"


def syntaxes(found):
    lines = []
    for s in found["transfer_syntaxes"]:
        carried = s["coding"] != "referenced"
        loss = "may lose" if s["lossy"] else "lossless"
        lines.append([s["name"], s["uid"], f"`{s['keyword']}`", loss, yes(carried), yes(s["decodes"]), yes(s["encodes"])])
    return table(["name", "UID", "keyword", "coding", "received and sent on", "decoded", "written"], lines)


def query_keys(found):
    """By level; what stands in the items of a sequence comes behind it."""
    lines = []
    for level in ("PATIENT", "STUDY", "SERIES", "IMAGE"):
        for k in found["query_keys"]:
            if k["level"] == level:
                indent = "" if k["sequence"] == "00000000" else "&gt; "
                lines.append([level, indent + k["name"], f"({k['tag']})", k["vr"], k["use"]])
    return table(["level", "attribute", "tag", "VR", "use"], lines)


def sections():
    """The text of each section, by name."""
    found = facts()
    classes = [[c["name"], c["uid"], c["kind"]] for c in found["sop_classes"]]
    verdicts = [[v["from"] + "H" if v["from"] == v["to"] else f"{v['from']}H to {v['to']}H", v["verdict"]]
                for v in found["verdicts"]]
    ours = found["implementation"]
    return {
        "answers": table(["status", "meaning", "when"],
                         [[a["status"] + "H", a["name"], OCCASIONS[a["status"]]] for a in found["answers"]]),
        "sop-classes": table(["SOP class", "UID", "taken as"], classes),
        "verdicts": table(["status", "the delivery is"], verdicts),
        "transfer-syntaxes": syntaxes(found),
        "query-keys": query_keys(found),
        "association": table(["", ""], [["implementation class UID", ours["class_uid"]],
                                        ["implementation version name", ours["version_name"]]]),
    }


def filled(page):
    """The page with every section made anew."""
    texts = sections()
    named = {m[2] for m in SECTION.finditer(page)}
    assert named == set(texts), f"sections of the page: {sorted(named)}, of the code: {sorted(texts)}"
    return SECTION.sub(lambda m: m[1] + texts[m[2]] + m[3], page)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(__doc__)
    os.environ.setdefault("DICOMSTEGO_BUILD", str(hospital.ROOT / "build" / "release"))
    PAGE.write_text(filled(PAGE.read_text()))
