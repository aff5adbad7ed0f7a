#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instances a second through one node into storescp: bench/relay.py [-n N] [--repeat N] [--associations N].

The sender is unmodified storescu, the receiver unmodified storescp (--fork, bit preserving), the study a phantom CT of
N slices. Ways: straight into storescp; through a node that passes studies on; through a node that hides 1 KiB
of report in each study. The ways take turns; medians are printed.

  in      instances / time that storescu needed: how fast the first station answers
  out     instances / time from the first to the last file at the receiver
"""
import argparse
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "system")]

import hospital  # noqa: E402
import phantom  # noqa: E402

COMPLETE_AFTER = "1 s"
WAYS = ("straight", "passing", "hiding")


def node_for(stage, sink, way, associations):
    node = stage.node(way, f"RELAY_{way.upper()}")
    node.peer("CT1", ae_title="CT1", hosts=[hospital.LOOPBACK + "/32"])
    # The receiver's own key: what is hidden must be sealed to somebody.
    _, certificate = hospital.new_key(node.folder, "receiver")
    node.peer("SINK", ae_title="SINK", host=hospital.LOOPBACK, port=sink.port, associations=associations,
              certificate=certificate)
    rule = {"name": way, "when": {"calling_ae": ["CT1"]}, "study_complete_after": COMPLETE_AFTER,
            "send_to": ["SINK"]}
    if way == "hiding":
        rule["report"] = {"wait": "10 min", "otherwise": "send_without"}
        rule["protect"] = {"payload": "report", "recipients": ["SINK"], "redundancy": "25 %"}
    node.rule(**rule)
    return node


def times_at(sink, number, timeout):
    """When the first and the last of number files was written; storescp writes each in one go."""
    hospital.wait_for(f"{number} files at the receiver", lambda: len(sink.files()) >= number, timeout, 0.2)
    written = sorted(p.stat().st_mtime for p in sink.files())
    return written[0], written[-1]


def run(folder, files, way, associations):
    with hospital.Stage(folder) as stage:
        sink = stage.storescp("SINK")
        sink.start()
        first_station = sink
        if way != "straight":
            first_station = node_for(stage, sink, way, associations)
            first_station.start()
            if way == "hiding":
                first_station.drop_report("DEMO0001.txt", os.urandom(512).hex().encode())
        started = time.monotonic()
        hospital.storescu(files, first_station.port, first_station.ae_title)
        taken = time.monotonic() - started
        first, last = times_at(sink, len(files), 600)
        return len(files) / taken, (len(files) - 1) / max(last - first, 1e-3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--associations", type=int, default=2)
    options = parser.parse_args()
    rates = {way: [] for way in WAYS}
    with hospital.Stage() as outer:
        files = phantom.write_study(outer.folder / "study", options.n)
        each = files[0].stat().st_size
        print(f"{options.n} instances of {each} bytes, {options.repeat} times, "
              f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for turn in range(options.repeat):
            for way in WAYS:
                rates[way].append(run(outer.folder / f"{way}-{turn}", files, way, options.associations))
    print(f"{'way':<12}{'in /s':>10}{'out /s':>10}{'MB/s out':>10}{'out, ratio to straight':>26}")
    base = statistics.median(r[1] for r in rates["straight"])
    for way in WAYS:
        taken, out = (statistics.median(r[i] for r in rates[way]) for i in (0, 1))
        print(f"{way:<12}{taken:>10.1f}{out:>10.1f}{out * each / 1e6:>10.1f}{out / base:>26.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
