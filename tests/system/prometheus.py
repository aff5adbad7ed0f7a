# SPDX-License-Identifier: Apache-2.0
"""A strict reader of Prometheus' text format 0.0.4: what it does not like is an error, as a server would say.

parse(text) -> {series: value} with the labels in the order in which they stand, and {family: type}.
"""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)?\}})? (\S+)")
TYPES = {"counter", "gauge", "histogram"}


class Wrong(Exception):
    """What is not as the format wants it, with the line."""


def _family_of(name, types):
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if base != name and types.get(base) == "histogram":
            return base
    return name


def _comment(line, helps, types, seen):
    parts = line.split(" ", 3)
    if len(parts) < 4 or parts[1] not in ("HELP", "TYPE"):
        raise Wrong(f"a comment that is neither HELP nor TYPE: {line}")
    kind, name, rest = parts[1:]
    if not re.fullmatch(NAME, name) or name in seen:
        raise Wrong(f"a name that is none, or comes after its samples: {line}")
    known = helps if kind == "HELP" else types
    if name in known:
        raise Wrong(f"twice: {line}")
    if kind == "TYPE" and rest not in TYPES:
        raise Wrong(f"no such type: {line}")
    known[name] = rest


def parse(text):
    helps, types, series, order = {}, {}, {}, []
    if not text.endswith("\n") or "\r" in text:
        raise Wrong("lines end with one line feed, the last one too")
    for line in text[:-1].split("\n"):
        if line.startswith("#"):
            _comment(line, helps, types, set(order))
            continue
        match = SAMPLE.fullmatch(line)
        if not match:
            raise Wrong(f"no sample: {line}")
        name, labels, value = match.groups()
        family = _family_of(name, types)
        if family not in types or family not in helps:
            raise Wrong(f"a sample before its HELP and TYPE: {line}")
        if order and family != order[-1] and family in order:
            raise Wrong(f"a family in two pieces: {line}")
        order.append(family)
        key = name + (f"{{{labels}}}" if labels else "")
        if key in series:
            raise Wrong(f"twice: {line}")
        series[key] = float(value.replace("+Inf", "inf"))
        if types[family] != "gauge" and (series[key] < 0 or math.isnan(series[key])):
            raise Wrong(f"a counter below zero: {line}")
    _check_histograms(series, types)
    return series, types


def _check_histograms(series, types):
    groups = {}
    for key, value in series.items():
        match = re.fullmatch(rf'({NAME})_bucket\{{(.*?),?le="([^"]+)"\}}', key)
        if match:
            groups.setdefault(match.group(1, 2), []).append((float(match.group(3).replace("+Inf", "inf")), value))
    for (name, labels), buckets in groups.items():
        if types.get(name) != "histogram":
            raise Wrong(f"{name} has buckets and is no histogram")
        if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(v for _, v in buckets):
            raise Wrong(f"the buckets of {name}{{{labels}}} do not rise")
        tail = f"{{{labels}}}" if labels else ""
        if buckets[-1][0] != math.inf or series.get(f"{name}_count{tail}") != buckets[-1][1]:
            raise Wrong(f"the last bucket of {name}{{{labels}}} is not its count")
        if f"{name}_sum{tail}" not in series:
            raise Wrong(f"{name}{{{labels}}} has no sum")
