#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may know whom: checks every #include of the house against the arrows of docs/architecture.md.

Prints one line for each include that goes the wrong way and exits 1 when there is one.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A room may include itself and these.
ROOMS = {
    "base": set(),
    "dicomstego": {"base"},
    "dicom": {"base"},
    "config": {"base"},
    "provenance": {"base", "dicomstego"},
    "db": {"base", "provenance"},
    "carrier": {"base", "dicom", "dicomstego"},
    "scp": {"base", "dicom"},
    "scu": {"base", "dicom"},
    "web": {"base"},
    "node": {"base", "dicom", "dicomstego", "carrier", "config", "db", "provenance", "scp", "scu", "web"},
    "cli": {"base", "dicom", "dicomstego", "carrier", "config", "provenance"},
}

# A library's headers, and those that a room keeps to itself; the only rooms that may see them.
OWNERS = (
    (re.compile(r"^(dcmtk|openjph)/"), {"dicom"}),
    (re.compile(r"^(openjpeg|zlib)\.h$"), {"dicom"}),
    (re.compile(r"^(libpq-fe|libpq-events|postgres_ext|pg_config)\.h$"), {"db"}),
    (re.compile(r"^yaml\.h$"), {"config"}),
    (re.compile(r"^png\.h$"), {"cli"}),
    (re.compile(r"^microhttpd\.h$"), {"web"}),
    (re.compile(r"^jansson\.h$"), {"node", "cli"}),
    (re.compile(r"^curl/"), {"node"}),
    (re.compile(r"^qrencode\.h$"), {"carrier"}),
    (re.compile(r"^(isa-l|isa-l/.*|isa-l\.h|erasure_code\.h)$"), {"dicomstego"}),
    (re.compile(r"^dicom/codec(_private)?\.h$"), {"dicom"}),
    (re.compile(r"^dicomstego/\w+_internal\.h$"), {"dicomstego"}),
    (re.compile(r"^carrier/\w+_private\.h$"), {"carrier"}),
)

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
C = {".c", ".h"}
CXX = {".cc", ".cpp", ".cxx", ".hh", ".hpp"}


def wrong_in(room, path):
    name = path.relative_to(ROOT)
    if path.suffix in CXX and room != "dicom":
        yield f"{name}: C++ outside dicom/"
    text = path.read_text(errors="replace")
    for header in INCLUDE.findall(text):
        first = header.split("/")[0]
        if first in ROOMS and first != room and first not in ROOMS[room]:
            yield f"{name}: {room} may not know {first} ({header})"
        for pattern, owners in OWNERS:
            if pattern.match(header) and room not in owners:
                yield f"{name}: only {', '.join(sorted(owners))} may include {header}"


def main():
    wrong, seen = [], 0
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in C | CXX:
                seen += 1
                wrong += wrong_in(room, path)
    for line in wrong:
        print(line)
    print(f"arrows: {seen} files, {len(wrong)} wrong")
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
