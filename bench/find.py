#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""C-FIND on a node that holds many instances: bench/find.py [--instances N] [--times N].

The rows are generated in the node's own database: studies of 50 instances and one of 2000, names, dates and
attributes as an index of real images has them. No file is behind them; a query needs none. Queries go over one
association, one after another, each shape as often as told; medians in ms, answers on the wire included.
"""
import argparse
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "system"), str(ROOT / "scripts")]

import hospital  # noqa: E402

A_STUDY, LARGE = 50, 2000

GENERATE = """
INSERT INTO studies (study_uid, accession, patient_id, patient_name, study_date, description, attributes, name_key,
                     name_words)
SELECT '1.2.826.0.1.' || n, 'ACC' || n, 'PID' || lpad((n / 3)::text, 7, '0'), upper(nm), d, 'CT Thorax ' || n % 40,
       jsonb_build_object('00080030', lpad((n * 7 % 235959)::text, 6, '0'), '00100030', '19' || 10 + n % 90 || '0101',
                          '00100040', CASE n % 2 WHEN 0 THEN 'F' ELSE 'M' END, '00200010', n::text,
                          '00080090', 'REFERRER^' || n % 100, '00080090k', 'referrer^' || n % 100),
       nm, ' ' || replace(nm, '^', ' ') || ' '
FROM (SELECT n, substr(md5((n / 3)::text), 1, 8) || '^' || substr(md5((n / 3 + 7)::text), 1, 5) AS nm,
             to_char(date '2015-01-01' + (n * 11 % 4000)::int, 'YYYYMMDD') AS d
      FROM generate_series(1, {studies}) AS n) AS g;
INSERT INTO series (study_id, series_uid, modality, attributes)
SELECT id, study_uid || '.' || k, CASE k WHEN 1 THEN 'CT' ELSE 'MR' END,
       jsonb_build_object('00200011', k::text, '0008103E', 'axial ' || k, '00180015', 'CHEST')
FROM studies, generate_series(1, 2) AS k;
INSERT INTO instances (study_id, series_id, kind, sop_uid, sop_class_uid, transfer_syntax, calling_ae, called_ae, path,
                       file_bytes, file_hash, received_at, has_pixel_data, attributes)
SELECT se.study_id, se.id, 0, se.series_uid || '.' || k, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'CT1',
       'BENCH', '/archive/' || se.series_uid || '.' || k, 526228, sha256((se.series_uid || k)::bytea), now(), true,
       jsonb_build_object('00200013', k::text, '00280010', '512', '00280011', '512', '00280100', '16',
                          '00080008', 'ORIGINAL\\PRIMARY\\AXIAL', '00201041', k::text)
FROM series se, generate_series(1, {half}) AS k
UNION ALL
SELECT se.study_id, se.id, 0, se.series_uid || '.9.' || k, '1.2.840.10008.5.1.4.1.1.2', '1.2.840.10008.1.2.1', 'CT1',
       'BENCH', '/archive/' || se.series_uid || '.9.' || k, 526228, sha256((se.series_uid || '.9.' || k)::bytea), now(),
       true, jsonb_build_object('00200013', k::text, '00280010', '512', '00280011', '512', '00280100', '16')
FROM series se, generate_series(1, {more}) AS k WHERE se.series_uid = '1.2.826.0.1.7.1';
ANALYZE studies, series, instances;
"""

STUDY = ["00080020=", "00080030=", "00080050=", "00100010=", "00100020=", "0020000D=", "00200010="]
IMAGE = ["00080016=", "00080018=", "00200013=", "00280010=", "00280011="]


def replaced(keys, tag, value):
    return [k for k in keys if not k.startswith(tag)] + [f"{tag}={value}"]


def queries():
    uid = "1.2.826.0.1.33"
    return (
        ("study by UID", "STUDY", replaced(STUDY, "0020000D", uid)),
        ("study by Patient ID", "STUDY", replaced(STUDY, "00100020", "PID0000033")),
        ("study by date", "STUDY", replaced(STUDY, "00080020", "20200301")),
        ("study by date range (1 month)", "STUDY", replaced(STUDY, "00080020", "20200301-20200331")),
        ("study by beginning of the name", "STUDY", replaced(STUDY, "00100010", "C4C*")),
        ("study by part of the name", "STUDY", replaced(STUDY, "00100010", "*c4ca4*")),
        ("study by date and modality, counted", "STUDY", replaced(STUDY, "00080020", "20200301")
         + ["00080061=CT", "00201206=", "00201208="]),
        ("study by referring physician", "STUDY", replaced(STUDY, "00080020", "20200301-20200331") + ["00080090=referrer^7"]),
        ("series of a study", "SERIES", ["00080060=", "0020000E=", "00200011=", f"0020000D={uid}", "00201209="]),
        (f"images of a study of {LARGE}", "IMAGE", IMAGE + ["0020000D=1.2.826.0.1.7", "0020000E=1.2.826.0.1.7.1"]),
        ("image by UID", "IMAGE", replaced(IMAGE, "00080018", uid + ".1.3") + [f"0020000D={uid}", f"0020000E={uid}.1"]),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=1000000)
    parser.add_argument("--times", type=int, default=50)
    options = parser.parse_args()
    with hospital.Stage() as stage:
        node = stage.node("bench", "BENCH")
        node.peer("CT1", ae_title="CT1", hosts=[hospital.LOOPBACK], may=["echo", "find"])
        node.start()
        hospital.wait_for("the database", lambda: "the database is there" in node.log.read_text(), 60, alive=node.program)
        begun = time.monotonic()
        node.psql("SET statement_timeout = 0; " + GENERATE.format(
            studies=options.instances // A_STUDY, half=A_STUDY // 2, more=LARGE - A_STUDY // 2))
        (studies, instances), = node.psql("SELECT (SELECT count(*) FROM studies), (SELECT count(*) FROM instances)")
        print(f"{instances} instances in {studies} studies, made in {time.monotonic() - begun:.0f} s")
        print(f"{'query':40} {'matches':>8} {'p50 ms':>9} {'p95 ms':>9}")
        for name, level, keys in queries():
            done = subprocess.run([str(hospital.build_folder() / "bench" / "bench_dicom_find"), str(node.port), "BENCH", "CT1",
                                   str(options.times), level, *keys], capture_output=True, text=True, check=True)
            matches, status, p50, p95 = done.stdout.split()
            print(f"{name:40} {matches:>8} {p50:>9} {p95:>9}" + ("" if status == "0000" else f"  status {status}"), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
