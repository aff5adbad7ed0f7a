# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md: of which rows and outcomes it is made, written from them, and read back."""
import csv
import posixpath
from collections import Counter, namedtuple

# A refusal must be one of these: what the page says, what the program says, what it means. The first that fits.
REASONS = (
    ("no DICOM", r"^$", "A picture, text, message or index of the collection: nothing is sent."),
    ("proof", r"proof before sending failed", "What was made did not give the very data set back, and was not "
     "written."),
    ("no name", r"no SOP Instance UID that a sidecar could name", "Cannot carry in its pixels, and a sidecar names by its SOP "
     "Instance UID what it belongs to."),
    ("measurement", r"measurement|computed with", "Dose, segments, parametric maps, PET: others calculate with these "
     "values."),
    ("no pixels", r"no Pixel Data|no pixels", "An object without Pixel Data: it has nothing to decode or to hide in."),
    ("float", r"floating point", "Float or Double Float Pixel Data: measured values, never changed."),
    ("palette", r"palette colour", "PALETTE COLOR: a pixel is the number of a table entry, and a small change is "
     "another colour."),
    ("1 bit", r"pixels of 1 bit|bits stored; at least", "Fewer than 8 bits: no room between black and white."),
    ("no decoder", r"no decoder|does not take a frame", "Stored and passed on, but not decoded: video, JPEG XL, "
     "retired processes."),
    ("colour kind", r"colour|photometric|samples a pixel", "Another kind of colour than grey, RGB, YBR_FULL and "
     "YBR_FULL_422."),
    ("too small", r"nothing fits|larger than the images can hold|no room|too small|cannot carry anything$|capacity|"
     r"does not fit in|the sealed documents need", "Too few pixels for the report, or pixels that are all the same at the end of the range."),
    ("attributes", r"its attributes ask for|is missing or no number|Number of Frames|bits stored up to bit|"
     r"than a file can hold|an image of \d+x\d+ pixels with|bits allocated$|not of 8", "The attributes of the pixels "
     "contradict each other, or the length of Pixel Data."),
    ("bitstream", r"\bframes?\b|stream of|stream is|stream ends|fragment|RLE|JPEG|items of Pixel Data|offset table|"
     r"cannot decode it|openjp", "A damaged compressed frame, or one of another size than the attributes say."),
    ("truncated", r"truncated|is cut|left over|is empty|too short|longer than the file", "The file ends too early, or "
     "goes on behind its end."),
    ("elements", r"add up|nest deeper|twice|delimiter|longer than what surrounds|undefined length|data set|a value",
     "Elements contradict each other or their lengths."),
    ("meta", r"meta information|transfer syntax|not a DICOM file|group 0002", "No file meta information that says how "
     "to read on."),
    ("limit", r"too large|too long|memory|limit", "It claims more than this program takes into memory."),
)

Row = namedtuple("Row", "path facts")
Outcome = namedtuple("Outcome", "received decoded protected recovered pixel dataset file")
HEAD = """# Conformance: what becomes of every file of the test data

Made by `tests/system/conformance.py --write` from running programs; not written by hand. `tests/system/test_conformance.py`
compares it with a fresh run: a sample by default, every file with `DICOMSTEGO_TEST_ALL=1`. The files are those of
`manifest.tsv` of the test data, which names the independent decoders behind its pixel hashes. A line for a folder stands for all
of its files, which fared alike.

| column | says | by whose word |
|---|---|---|
| received | A node took it over C-STORE in its own transfer syntax and keeps the very data set; or the DIMSE status that refused it | the file hash, taken by the test |
| decoded | Our pixel hash is that of the manifest | other people's decoders |
| protected | Where a report of 68 bytes went: into the `pixels`, or `beside` them in a sidecar and why | |
| recovered | The report came back to the byte and the image with it | |
| pixel, data set, file | Hash of what came back: `=` the original's | `=` numpy and pydicom, `(=)` only our own hash, where these have no decoder or cannot read the file |

`no` in the last column: a compressed original, whose pixels came back in another bitstream, or in none; pixel and data set are equal. `none`:
no pixels that could have a hash. Where a compressed image came back native or compressed again, Photometric Interpretation names the decoded cells (RGB for
YBR_RCT and YBR_ICT, YBR_FULL for YBR_FULL_422), as the data set hash has it. *not sendable*: the file has no usable SOP Class, SOP Instance or transfer syntax UID that a C-STORE could announce, or a data set
of odd length, which no P-DATA may carry (PS3.8 E.1). `(~)`: of broken files only, our hash is equal and pydicom sees a difference: an odd length
that came back even, or a header that each reader takes apart in its own way. *quarantine*: acknowledged, and kept aside for an operator with
the reason, for example without a Study Instance UID. In *decoded*: `alone` nobody
else could decode it, `rounded` a lossy codec, where decoders may differ by rounding, `disputed` the independent decoders differ.

## Why something is refused

| reason | means |
|---|---|
"""


def rows(data):
    with open(data / "manifest.tsv", newline="", encoding="utf-8", errors="replace") as f:
        return [Row(r["path"], r) for r in csv.DictReader(f, delimiter="\t", quoting=csv.QUOTE_NONE)]


def is_dicom(row):
    """By name: the collection's broken files are DICOM, too."""
    top, name = row.path.split("/")[0], row.path.rsplit("/", 1)[-1]
    return top not in ("photos", "reports") and (name.endswith(".dcm") or "." not in name)


def _folders(rows, found):
    """Lines: (name, count of files, row of the first, outcome). One for a folder whose files all fared alike."""
    by_folder = {}
    for row in rows:
        by_folder.setdefault(posixpath.dirname(row.path), []).append(row)
    for folder, members in by_folder.items():
        syntaxes = {r.facts["transfer_syntax_uid"] for r in members if is_dicom(r)}
        if len(members) > 3 and len({found[r.path] for r in members}) == 1 and len(syntaxes) <= 1:
            yield f"{folder}/", len(members), members[0]
        else:
            for row in members:
                yield row.path, 1, row


def _syntax(row):
    uid = row.facts["transfer_syntax_uid"]
    known = uid.startswith("1.2.840.10008.1.2") and all(c in "0123456789." for c in uid)
    return uid.removeprefix("1.2.840.10008.") if known else ""


def _line(*cells):
    return "| " + " | ".join(str(c) for c in cells) + " |\n"


def _summary(rows, found):
    dicom = [found[r.path] for r in rows if is_dicom(r)]
    sound = [found[r.path] for r in rows if is_dicom(r) and not r.path.startswith("malformed/")]
    text = "\n## In short\n\n" + _line("", "sound DICOM files", "all, broken ones included") + "|---|---|---|\n"
    text += _line("files", len(sound), len(dicom))
    questions = (("received and kept to the byte", lambda o: o.received == "yes"),
                 ("decoded: equal to the manifest's hash", lambda o: o.decoded == "equal"),
                 ("protected in the pixels", lambda o: o.protected == "pixels"),
                 ("protected beside the pixels", lambda o: o.protected.startswith("beside")),
                 ("recovered", lambda o: o.recovered == "yes"),
                 ("pixel hash equal, or no pixels to hash", lambda o: o.pixel in ("=", "(=)", "none")),
                 ("data set hash equal", lambda o: o.dataset in ("=", "(=)")),
                 ("file hash equal", lambda o: o.file == "="))
    for question, holds in questions:
        text += _line(question, sum(map(holds, sound)), sum(map(holds, dicom)))
    return text


def text(rows, found):
    """The whole page."""
    page = HEAD
    used = Counter(c.removeprefix("beside: ") for o in found.values() for c in o)
    for name, _, meaning in REASONS:
        if used[name]:
            page += _line(name, meaning)
    page += _summary(rows, found)
    page += "\n## File by file\n\nThe syntax is a UID below 1.2.840.10008.\n\n"
    page += _line("file", "syntax", *Outcome._fields[:5], "data set", "file")
    page += "|---" * 9 + "|\n"
    for name, count, row in _folders(rows, found):
        title = f"{name} ({count} of {count})" if count > 1 else name
        page += _line(title, _syntax(row), *found[row.path])
    return page


def read(page):
    """Outcomes by path or, with a slash at the end, by folder."""
    found = {}
    for line in page.split("## File by file")[1].splitlines():
        cells = [c.strip() for c in line.split("|")[1:-1]]
        if len(cells) == 9 and cells[0] not in ("file", "---"):
            found[cells[0].split(" (")[0]] = Outcome(*cells[2:])
    return found


def outcome(page, path):
    """What the page says of a file; None where it says nothing."""
    return page.get(path, page.get(posixpath.dirname(path) + "/"))
