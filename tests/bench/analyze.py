#!/usr/bin/env python3
"""The whole corpus (PA_CORPUS) analysed by pipeahead, read by a Go program as the paper's own, and loaded by PyYAML's C
loader: one core, interleaved runs, medians.  The Go program runs once more with all cores, for its collector works beside it.

usage: analyze.py ANALYZE_BENCH PAPER_PARSER RUNS OUT.json
"""
import json
import os
import statistics
import subprocess
import sys

WARM_UP_RUNS = 1


def run(command, cores):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True,
                                     preexec_fn=lambda: os.sched_setaffinity(0, cores)).stdout)


def main():
    bench, parser, runs, out = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    corpus = os.environ["PA_CORPUS"]
    every_core = os.sched_getaffinity(0)
    one_core = {max(every_core)}
    here = os.path.dirname(os.path.abspath(__file__))
    programs = {
        "pipeahead": ([bench, corpus], one_core),
        "pipeahead, the reader alone": ([bench, corpus, "nodes"], one_core),
        "paper's parser (Go yaml.v2)": ([parser, corpus], one_core),
        "paper's parser, all cores": ([parser, corpus], every_core),
        "PyYAML CSafeLoader": ([sys.executable, os.path.join(here, "analyze_pyyaml.py"), corpus], one_core),
    }
    results = {name: [] for name in programs}
    for turn in range(WARM_UP_RUNS + runs):
        for name, (command, cores) in programs.items():
            result = run(command, cores)
            if turn >= WARM_UP_RUNS:
                results[name].append(result)
    rows = []
    for name, all_of_it in results.items():
        cpu_s, wall_s = (statistics.median(one[key] for one in all_of_it) for key in ("cpu_s", "wall_s"))
        first = all_of_it[0]
        rows.append({"program": name, "files": first["files"], "cpu_s": round(cpu_s, 4), "wall_s": round(wall_s, 4),
                     "files_per_s": round(first["files"] / wall_s), "mb_per_s": round(first["bytes"] / 1e6 / wall_s, 1)})
    ours = rows[0]
    for row in rows:
        row["cpu_ratio"] = round(ours["cpu_s"] / row["cpu_s"], 2)
        row["wall_ratio"] = round(ours["wall_s"] / row["wall_s"], 2)
    json.dump({"analyze_corpus": rows}, open(out, "w", encoding="utf-8"), indent=1)


main()
