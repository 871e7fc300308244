#!/usr/bin/env python3
"""Whole pipelines, with pipeahead, without it, and with all data local, in the same run.

usage: pipelines.py PIPEAHEAD RUNS OUT.json

The demo (examples/jsm-conv), and chains of four tasks whose data takes 0.25, 0.5, 1 and 2 times the computing before it to
load.  Computing is waiting there (as for a GPU), so that the figures show the data path and not this machine's
processors.  Each figure is the median over RUNS comparisons; a comparison runs the three ways one after another.

Bound of a chain: task k starts computing at the earliest when the bytes of tasks 0..k have crossed the link.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

BANDWIDTH = 100_000_000  # bytes per second
COMPUTE_S = 1.5
TASKS = 4
READER = """
import os, sys, time
part, seconds = sys.argv[1], float(sys.argv[2])
for name in sorted(os.listdir(part)):
    with open(os.path.join(part, name), "rb") as file:
        while file.read(1 << 20):
            pass
time.sleep(seconds)
os.makedirs("/tmp/outputs/out", exist_ok=True)
open("/tmp/outputs/out/data", "w").write(part)
"""


def write_chain(folder, ratio):
    """A chain whose tasks after the first each read ratio * COMPUTE_S seconds' worth of data of their own."""
    part_bytes = int(BANDWIDTH * COMPUTE_S * ratio)
    tasks, templates = [], []
    for index in range(TASKS):
        name = f"task-{index}"
        part = os.path.join(folder, "data", name)
        os.makedirs(part)
        for piece in range(4):
            with open(os.path.join(part, f"{piece}.bin"), "wb") as file:
                file.write(os.urandom(part_bytes // 4))
        task = {"name": name, "template": name}
        if index:
            task["dependencies"] = [f"task-{index - 1}"]
        tasks.append(task)
        templates.append({
            "name": name,
            "container": {"image": "python:3.9", "command": ["python3", "-c", READER],
                          "args": [f"/mnt/set/{name}", str(COMPUTE_S)],
                          "volumeMounts": [{"mountPath": "/mnt/set", "name": "set"}]},
            "outputs": {"artifacts": [{"name": f"{name}-out", "path": "/tmp/outputs/out/data"}]},
            "volumes": [{"name": "set", "persistentVolumeClaim": {"claimName": "set"}}]})
    templates.append({"name": "chain", "dag": {"tasks": tasks}})
    workflow = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                "metadata": {"generateName": "chain-",
                             "annotations": {"pipelines.kubeflow.org/pipeline_spec": '{"name": "chain"}'}},
                "spec": {"entrypoint": "chain", "templates": templates}}
    with open(os.path.join(folder, "pipeline.yaml"), "w") as file:
        json.dump(workflow, file)
    with open(os.path.join(folder, "pipeahead.yaml"), "w") as file:
        file.write(f"sources:\n  - claim: set\n    at: file://./data\n    bandwidth: {BANDWIDTH // 1_000_000}MB/s\n"
                   "    connections: 4\n    latency: 2ms\n    access: read\nmemory: {node: 4GiB}\nslots: 2\n")
    return part_bytes // 4 * 4


def compare(pipeahead, pipeline, catalog):
    environment = dict(os.environ, PIPEAHEAD_CATALOG=catalog)
    done = subprocess.run([pipeahead, "run", pipeline, "--compare", "--format", "json", "--quiet"],
                          env=environment, stdout=subprocess.PIPE, check=True)
    report = json.loads(done.stdout)
    assert report["outputs_equal"], "outputs differ"
    return report


def figures(reports, part_bytes=None):
    def median(value):
        return statistics.median(value(report) for report in reports)

    local = median(lambda r: r["local_makespan_s"])
    result = {
        "makespan_s": median(lambda r: r["makespan_s"]),
        "without_s": median(lambda r: r["without"]["makespan_s"]),
        "local_s": local,
        "cold_start_s": median(lambda r: r["cold_start_s"]),
        # By wall clock, the first task's cold start apart, against the same without pipeahead.
        "stall_share": median(lambda r: max(0, r["makespan_s"] - r["local_makespan_s"] - r["cold_start_s"]) /
                              max(1e-9, r["without"]["makespan_s"] - r["local_makespan_s"] -
                                  r["without"]["cold_start_s"])),
        # As the reads saw it: time in which a task after the first waited for bytes.
        "waited_share": median(lambda r: sum(t["stall_s"] for t in r["tasks"][1:]) /
                               max(1e-9, sum(t["stall_s"] for t in r["without"]["tasks"][1:]))),
        "first_task_stall_ratio": median(lambda r: first(r)["stall_s"] / max(1e-9, first(r["without"])["stall_s"])),
        "in_memory_after_first": min(share(r) for r in reports),
        "sequential_of_cap": median(lambda r: r["without"]["sequential_bytes_per_second"] /
                                    r["without"]["cap_bytes_per_second"]),
    }
    if part_bytes is not None:
        bound = max(part_bytes * (k + 1) / BANDWIDTH + COMPUTE_S * (TASKS - k) for k in range(TASKS))
        overhead = local - TASKS * COMPUTE_S  # starting processes: in every way of running
        result["bound_s"] = bound + overhead
        result["over_bound"] = result["makespan_s"] / (bound + overhead) - 1
    return result


def first(report):
    """The task that nothing runs before."""
    return min(report["tasks"], key=lambda task: task["start_s"])


def share(report):
    """Of what the tasks after the first one read, how much was in memory when asked for."""
    begin = first(report)["id"]
    later = [task for task in report["tasks"] if task["id"] != begin]
    return sum(t["memory_bytes"] for t in later) / max(1, sum(t["read_bytes"] for t in later))


def main():
    pipeahead, runs, out = os.path.abspath(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    cases, sizes = {}, {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        for ratio in (0.25, 0.5, 1, 2):
            folder = os.path.join(scratch, f"chain-{ratio}")
            os.makedirs(folder)
            sizes[f"load/compute {ratio}"] = write_chain(folder, ratio)
            cases[f"load/compute {ratio}"] = os.path.join(folder, "pipeline.yaml")
        cases["demo"] = os.path.join(os.path.dirname(__file__), "../../examples/jsm-conv/pipeline.yaml")
        reports = {name: [] for name in cases}
        for turn in range(runs):
            for name, pipeline in cases.items():
                reports[name].append(compare(pipeahead, pipeline, os.path.join(scratch, f"{name.replace('/', '-')}.db")))
                print(f"  run {turn + 1} of {runs}: {name}", file=sys.stderr)
        result = {name: figures(found, sizes.get(name)) for name, found in reports.items()}
    with open(out, "w") as file:
        json.dump(result, file, indent=1)
    columns = ["makespan_s", "without_s", "local_s", "cold_start_s", "stall_share", "waited_share",
               "first_task_stall_ratio", "in_memory_after_first", "sequential_of_cap", "over_bound"]
    print(f"{'':<20}" + "".join(f"{column:>24}" for column in columns))
    for name, row in result.items():
        print(f"{name:<20}" + "".join(f"{row[c]:>24.3f}" if c in row else f"{'–':>24}" for c in columns))


main()
