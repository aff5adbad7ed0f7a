#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the hiding engine with every compiler and option that it must not notice, and compares.

compilers.py [FOLDER]: each build makes the golden carriers, all must be the same, and each build must read those
of the others and the ones in tests/vectors/engine. Prints a line for each build, exits 1 when one differs.
compilers.py --regenerate: writes tests/vectors/engine anew; for a change of format only.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors" / "engine"
PROGRAM = "tests/golden/carriers.c"
READER = "dicomstego/extract.c"  # the other half of engine.h
COMMON = ["-std=c17", "-D_GNU_SOURCE", "-I.", "-include", "base/banned.h", "-w"]
BUILDS = {
    "gcc-O0": ["gcc", "-O0"],
    "gcc-O3": ["gcc", "-O3"],
    "clang-O0": ["clang", "-O0"],
    "clang-O3": ["clang", "-O3"],
    "clang-O1-sanitized": ["clang", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "gcc-O2-wrapv-fma": ["gcc", "-O2", "-fwrapv", "-march=x86-64-v3"],
    "clang-O2-fma": ["clang", "-O2", "-march=x86-64-v3"],
}
INCLUDE = re.compile(r'^#include "((?:base|dicomstego|tests/unit/dicomstego)/\w+)\.h"', re.MULTILINE)


def can_run(options):
    """x86-64-v3 needs AVX2 and FMA."""
    if not any("x86-64-v3" in o for o in options):
        return shutil.which(options[0]) is not None
    flags = Path("/proc/cpuinfo").read_text().split()
    return shutil.which(options[0]) is not None and "avx2" in flags and "fma" in flags


def includes(name):
    """The headers of ours that a file names."""
    return [f"{stem}.h" for stem in INCLUDE.findall((ROOT / name).read_text())]


def followed(names):
    """These files and whatever the headers that they include belong to, followed from file to file."""
    found, todo = set(), list(names)
    while todo:
        name = todo.pop()
        if name not in found and (ROOT / name).exists():
            found.add(name)
            for header in includes(name):
                todo += [header, header[:-2] + ".c"]
    return found


def sources():
    """The program and what it needs. A header may belong to several files: hide.h to hide.c and hide_chain.c."""
    room = [f"dicomstego/{p.name}" for p in sorted((ROOT / "dicomstego").glob("*.c"))]
    found, before = followed([PROGRAM, READER]), set()
    while found != before:
        before = found
        headers = [name[:-2] + "_" for name in found if name.startswith("dicomstego/") and name.endswith(".h")]
        found = found | followed(name for name in room if name.startswith(tuple(headers)))
    return sorted(name for name in found if name.endswith(".c"))


def compile_one(job):
    options, source, target = job
    subprocess.run([*options, *COMMON, "-c", source, "-o", target], cwd=ROOT, check=True)


def build(folder, files, names):
    """One program for each of these builds that this machine can make and run; their names."""
    builds = {name: BUILDS[name] for name in names if can_run(BUILDS[name])}
    jobs = []
    for name, options in builds.items():
        (folder / name).mkdir()
        jobs += [(options, f, str(folder / name / (f.replace("/", "_") + ".o"))) for f in files]
    with ThreadPoolExecutor(max(1, min(2, os.cpu_count() or 1))) as pool:
        list(pool.map(compile_one, jobs))
    for name, options in builds.items():
        objects = [target for o, _, target in jobs if Path(target).parent.name == name]
        subprocess.run([*options, *objects, "-o", str(folder / name / "carriers"), "-llzma", "-lm", "-pthread"], check=True)
    return list(builds)


def ways(names):
    """(label, build, how): each build as it is and without its vector instructions."""
    for name in names:
        yield name, name, []
        yield f"{name}-portable", name, ["portable"]


def run(folder, name, how, verb, where):
    done = subprocess.run([folder / name / "carriers", verb, where, *how], capture_output=True, text=True)
    return done.returncode == 0, done.stderr


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.carrier"))}


def listed():
    """tests/vectors/engine/SHA256SUMS as {name: digest}."""
    lines = (VECTORS / "SHA256SUMS").read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def compare(folder):
    """Complaints, none when all is well."""
    wrong = []
    golden = listed()
    if digests(VECTORS) != golden:
        wrong.append("tests/vectors/engine and its SHA256SUMS differ")
    names = build(folder, sources(), BUILDS)
    made = []
    for label, name, how in ways(names):
        where = folder / f"made-{label}"
        where.mkdir()
        well, text = run(folder, name, how, "make", where)
        same = [k for k, v in digests(where).items() if golden.get(k) == v]
        if not well or len(same) != len(golden):
            wrong.append(f"{label} makes others: {' '.join(sorted(set(golden) - set(same)))} {text}")
        if well:
            made.append(where)
        print(f"{label}: {len(same)} of {len(golden)} carriers as they should be", flush=True)
    # Whoever made the same bytes need not be read twice.
    distinct = {tuple(digests(w).items()): w for w in [*made, VECTORS]}
    for label, name, how in ways(names):
        for where in distinct.values():
            well, text = run(folder, name, how, "check", where)
            if not well:
                wrong.append(f"{label} cannot read {where.name}: {text}")
    return wrong


def regenerate(folder):
    build(folder, sources(), ["gcc-O0"])
    shutil.rmtree(VECTORS, ignore_errors=True)
    VECTORS.mkdir(parents=True)
    well, text = run(folder, "gcc-O0", [], "make", VECTORS)
    if not well:
        sys.exit(text)
    lines = [f"{digest}  {name}\n" for name, digest in digests(VECTORS).items()]
    (VECTORS / "SHA256SUMS").write_text("".join(lines))


def main():
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:] == ["--regenerate"]:
            regenerate(Path(folder))
            return
        wrong = compare(Path(sys.argv[1] if len(sys.argv) > 1 else folder))
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
