#!/usr/bin/env python3
"""Loads every pipeline file below a folder with PyYAML's C loader and prints what that took as JSON."""
import json
import os
import resource
import sys
import time

import yaml


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main():
    totals = {"files": 0, "bytes": 0, "failed": 0}
    wall_begin, cpu_begin = time.monotonic(), cpu_s()
    for folder, _, names in os.walk(sys.argv[1]):
        for name in names:
            if not name.endswith((".yaml", ".yml", ".json")):
                continue
            with open(os.path.join(folder, name), "rb") as file:
                text = file.read()
            totals["files"] += 1
            totals["bytes"] += len(text)
            try:
                for _ in yaml.load_all(text, Loader=yaml.CSafeLoader):
                    pass
            except (yaml.YAMLError, ValueError):
                totals["failed"] += 1
    totals["wall_s"] = time.monotonic() - wall_begin
    totals["cpu_s"] = cpu_s() - cpu_begin
    print(json.dumps(totals))


main()
