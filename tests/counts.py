#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up test results: counts.py FILE.xml... [--also NAME=passed|failed|skipped]...

Reads the JUnit files of ctest and pytest. A ctest entry is a program of many cmocka tests, so what it printed
is counted; a program that died before it could say counts as one failure. Prints one line for each file, what
failed and what was skipped with its reason, then the sum alone on the last line. Exits 1 when anything failed.
"""
import re
import sys
import xml.etree.ElementTree as xml
from collections import Counter
from pathlib import Path

CMOCKA = re.compile(r"^\[\s*(OK|FAILED|SKIPPED|ERROR)\s*\] (\w+)\s*$", re.MULTILINE)
WORD = {"OK": "passed", "FAILED": "failed", "ERROR": "failed", "SKIPPED": "skipped"}


def plain(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return "failed", ""
    if case.find("skipped") is not None:
        return "skipped", case.find("skipped").get("message", "")
    return "passed", ""


def results_of(case):
    """(name, result, reason) for each test of one entry."""
    name = case.get("name")
    result, reason = plain(case)
    if case.get("status") == "fail":
        result = "failed"
    by_test = {}
    for word, test in CMOCKA.findall(case.findtext("system-out") or ""):
        by_test[test] = WORD[word]
    if not by_test:
        where = (case.get("classname") or "").replace(".", "/")
        yield f"{where}::{name}" if where and where != name else name, result, reason
        return
    for test, outcome in by_test.items():
        yield f"{name} {test}", outcome, ""
    if result == "failed" and "failed" not in by_test.values():
        yield f"{name} (the program itself)", "failed", ""


def main():
    total, failed, skipped = Counter(), [], []
    arguments = sys.argv[1:]
    also = [a.split("=", 1) for a in arguments if "=" in a and not a.endswith(".xml")]
    for path in (a for a in arguments if a.endswith(".xml")):
        here = Counter()
        cases = xml.parse(path).getroot().iter("testcase") if Path(path).exists() else []
        for case in cases:
            for name, result, reason in results_of(case):
                here[result] += 1
                (failed if result == "failed" else skipped if result == "skipped" else []).append(
                    f"{Path(path).stem}: {name}" + (f": {reason}" if reason else ""))
        if not here:
            here["failed"] = 1
            failed.append(f"{Path(path).stem}: no result at all")
        print(f"{Path(path).stem}: " + ", ".join(f"{here[k]} {k}" for k in ("passed", "failed", "skipped")))
        total += here
    for name, result in also:
        total[result] += 1
        if result != "passed":
            (failed if result == "failed" else skipped).append(name)
    for title, names in (("skipped", skipped), ("FAILED", failed)):
        for name in names:
            print(f"  {title}: {name}")
    print(", ".join(f"{total[k]} {k}" for k in ("passed", "failed", "skipped")))
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
