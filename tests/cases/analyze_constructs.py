#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the model must say because of each construct that people use, by one real file each.

usage: analyze_constructs.py PIPEAHEAD CORPUS TABLE

TABLE has a line for every construct of the corpus' CONSTRUCTS.tsv (tab-separated): format, construct, file, index of
the document, task or nothing for the pipeline, field, expected JSON.  A file of "-" says that none in the corpus has
the construct.  Expectations were worked out from the raw files.  Fields:

  ids                        all tasks: the construct leaves no other trace in the model
  name | sdk_version | …     of the pipeline or of the task
  parameters NAME value      of the pipeline; also type and default
  unresolved                 a text that one entry contains
  inputs NAME from           places, each [kind, …]: task id output, parameter name, item [id output], uri, constant
  inputs NAME path | kind    likewise outputs; mounts PATH kind | claim | created_by | …
  loop items | loop from     from: [[id, output]]
  data URI                   its confidence
  hyperparameters NAME, resources NAME
{"contains": text} and {"lacks": text} stand for a part of the value.
"""
import json
import os
import subprocess
import sys

CONTAINERS = {"parameters": "name", "inputs": "name", "outputs": "name", "mounts": "path"}


def place(origin):
    if origin.get("item"):
        return ["item", origin.get("task"), origin.get("output")]
    if "task" in origin:
        return ["task", origin["task"], origin["output"]]
    return next([key, origin[key]] for key in ("parameter", "uri", "constant") if key in origin)


def places(value):
    return [place(origin) for origin in (value if isinstance(value, list) else [value] if value else [])]


def found(pipeline, task, field):
    """What the analyzer printed for a field."""
    if field == "ids":
        return [t["id"] for t in pipeline["tasks"]]
    owner = next((t for t in pipeline["tasks"] if t["id"] == task), None) if task else pipeline
    if owner is None:
        return "no task " + task
    first, *rest = field.split(" ")
    if first == "unresolved":
        return " ".join(entry["what"] for entry in pipeline["unresolved"])
    if first == "data":
        return next((d["confidence"] for d in owner["data"] if d["uri"] == " ".join(rest)), "no such data")
    if first == "loop":
        value = (owner["loop"] or {"items": "no loop", "from": None})[rest[0]]
        return [[value["task"], value["output"]]] if rest[0] == "from" and value else value
    if first in CONTAINERS:
        name = " ".join(rest[:-1])
        entry = next((e for e in owner[first] if e[CONTAINERS[first]] == name), None)
        if entry is None:
            return "no %s %s" % (first, name)
        return places(entry["from"]) if rest[-1] == "from" else entry[rest[-1]]
    value = owner[first]
    return value.get(" ".join(rest), "no " + field) if rest else value


def same(field, expected, got):
    if isinstance(expected, dict) and len(expected) == 1 and next(iter(expected)) in ("contains", "lacks"):
        text = got if isinstance(got, str) else "\n".join(got or [])
        return (expected.get("contains", expected.get("lacks")) in text) == ("contains" in expected)
    if field == "unresolved":
        return expected in got
    if field.split(" ")[-1] == "from":
        return isinstance(got, list) and sorted(map(comparable, expected)) == sorted(map(comparable, got))
    if field in ("ids", "after"):
        return isinstance(got, list) and sorted(expected) == sorted(got)
    return expected == got


def comparable(entry):
    """A place as text; a constant that is a list or a map is compared as what its JSON says."""
    kind, *rest = entry
    if kind == "constant" and isinstance(rest[0], str) and rest[0][:1] in ("[", "{"):
        try:
            rest = [json.loads(rest[0])]
        except ValueError:
            pass
    return json.dumps([kind, *rest], sort_keys=True)


def analyses(program, path):
    run = subprocess.run([program, "analyze", path, "--format", "json"], capture_output=True, text=True)
    try:
        return {p["source"]["document"]: p for p in json.loads(run.stdout)["pipelines"]}
    except ValueError:
        print("exit code %d: %s" % (run.returncode, run.stderr.strip()))
        return {}


def main():
    program, corpus, table = sys.argv[1:4]
    with open(table, encoding="utf-8") as handle:
        rows = [line.rstrip("\n").split("\t") for line in handle if not line.startswith("#")]
    with open(os.path.join(corpus, "CONSTRUCTS.tsv"), encoding="utf-8") as handle:
        wanted = {tuple(line.split("\t")[:2]) for line in list(handle)[1:]}
    known, absent, wrong = {}, 0, 0
    for name, construct in sorted(wanted - {tuple(row[:2]) for row in rows}):
        print("%s: %s: no line in the table" % (name, construct))
        wrong += 1
    for name, construct, file, document, task, field, expected in rows:
        if file == "-":
            absent += 1
            continue
        path = os.path.join(corpus, name, file)
        if path not in known:
            known[path] = analyses(program, path)
        pipeline = known[path].get(int(document))
        got = found(pipeline, task, field) if pipeline else "no pipeline"
        if not same(field, json.loads(expected), got):
            print("%s: %s: document %s: %s: %s\n  expected %s\n  got      %s"
                  % (construct, path, document, task, field, expected, json.dumps(got)[:600]))
            wrong += 1
    print("%d constructs, %d of them in %d files, %d in none, %d wrong"
          % (len(rows), len(rows) - absent, len(known), absent, wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
