#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tasks, order, edges, claims and loops of real pipelines, worked out a second time and compared.

usage: analyze_cross_check.py PIPEAHEAD CORPUS KNOWN_DIFFERENCES

The analyze_check_*.py beside this read the raw files by the rules of the analysis model and know nothing of the
analyzer.  Compared for every document: ids, kind, role, what a task is after, the producers of its artifacts and
parameters, the claims it mounts, its loop.  Each file has a model or an error that says where.  Every difference must stand in KNOWN_DIFFERENCES (tab-separated: file,
document, task or *, field or *, explanation), and every line there must still be one.  77: PyYAML is missing.
"""
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys

try:
    import analyze_check_argo
    import analyze_check_ir
    import analyze_check_runtime
    from analyze_check_common import Bad, differences, load
except ImportError:
    print("skipped: PyYAML with libyaml is missing")
    sys.exit(77)

FORMATS = {"argo-kfp-v1": ("argo-kfp-v1", "argo"), "argo-handwritten": ("argo-kfp-v1", "argo"),
           "kfp-v2-ir": ("kfp-v2-ir",), "kfp-v2-runtime": ("kfp-v2-runtime",),
           "status-samples": ("argo-kfp-v1", "argo", "kfp-v2-runtime")}


def read(path):
    """What a file's documents say by the rules: {index: Facts by id or Bad}."""
    with open(path, "rb") as handle:
        documents = load(handle.read())
    found = {}
    for reader in (analyze_check_argo, analyze_check_ir, analyze_check_runtime):
        found.update(reader.read(documents))
    return found


def compare(program, corpus, name):
    """One file: its name, number of documents, differences as (document, task, field, expected, printed), number of
    documents that the rules refuse, and of edges and claims compared."""
    path = os.path.join(corpus, name)
    mine = read(path)
    run = subprocess.run([program, "analyze", path, "--format", "json"], capture_output=True, text=True)
    if run.returncode not in (0, 3) or (run.returncode == 3 and not re.search(r":\d+:\d+: ", run.stderr)):
        return name, len(mine), [("-", "", "answer", "a model or an error with its place", run.stderr)], 0, 0
    printed = {p["source"]["document"]: p for p in json.loads(run.stdout or '{"pipelines": []}')["pipelines"]}
    found, facts = [], 0
    for document in sorted(set(mine) | set(printed)):
        rules, pipeline = mine.get(document), printed.get(document)
        if rules is None or isinstance(rules, Bad) or pipeline is None:
            if (rules is None or isinstance(rules, Bad)) != (pipeline is None):
                found.append((document, "", "document", refusal(rules), "a model" if pipeline else run.stderr.strip()))
            continue
        facts += sum(len(f.after) + len(f.artifacts) + len(f.parameters) + len(f.claims) for f in rules.values())
        if pipeline["format"] not in FORMATS[name.split("/")[0]]:
            found.append((document, "", "format", FORMATS[name.split("/")[0]], pipeline["format"]))
        found += [(document, *d) for d in differences(rules, pipeline["tasks"])]
    return name, len(set(mine) | set(printed)), found, sum(isinstance(m, Bad) for m in mine.values()), facts


def refusal(rules):
    return "no pipeline" if rules is None else str(rules) if isinstance(rules, Bad) else "a model"


def known_differences(path):
    with open(path, encoding="utf-8") as handle:
        lines = [line.rstrip("\n").split("\t") for line in handle if line.strip() and not line.startswith("#")]
    return {tuple(line[:4]): line[4] for line in lines}


def covers(entry, name, difference):
    document, task, field = difference[:3]
    return entry[0] == name and entry[1] == str(document) and entry[2] in ("*", task) and entry[3] in ("*", field)


def main():
    program, corpus, known_path = sys.argv[1:4]
    known = known_differences(known_path)
    names = sorted(os.path.relpath(os.path.join(folder, f), corpus) for top in FORMATS
                   for folder, _, files in os.walk(os.path.join(corpus, top)) for f in files)
    documents, differing, explained = (collections.Counter() for _ in range(3))
    refused, facts = collections.Counter(), collections.Counter()
    used, unexplained = set(), 0
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        jobs = [[program] * len(names), [corpus] * len(names), names]
        for name, count, found, bad, compared in pool.map(compare, *jobs, chunksize=16):
            top = name.split("/")[0]
            documents[top] += count
            refused[top] += bad
            facts[top] += compared
            differing[top] += len({d[0] for d in found})
            left = []
            for difference in found:
                entries = {e for e in known if covers(e, name, difference)}
                used |= entries
                if not entries:
                    left.append(difference)
            explained[top] += len({d[0] for d in found} - {d[0] for d in left})
            unexplained += len(left)
            for document, task, field, expected, printed in left:
                print("%s: document %s: %s: %s: expected %s, got %s" % (name, document, task, field, expected, printed))
    stale = set(known) - used
    for entry in sorted(stale):
        print("no longer a difference: %s" % "\t".join(entry))
    for top in FORMATS:
        print("%-17s %4d documents, %3d refused by both, %6d edges and claims, %6.2f%% agree, %d differ of which %d "
              "are explained" % (top, documents[top], refused[top], facts[top],
                                 100 - 100 * differing[top] / max(documents[top], 1), differing[top], explained[top]))
    total = sum(documents.values())
    agreeing = 100 - 100 * sum(differing.values()) / max(total, 1)
    print("%d documents, %.2f%% agree, %d unexplained differences" % (total, agreeing, unexplained))
    return 1 if unexplained or stale or total == 0 or agreeing < 99 else 0


if __name__ == "__main__":
    sys.exit(main())
