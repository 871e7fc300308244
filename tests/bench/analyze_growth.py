#!/usr/bin/env python3
"""Time and peak memory of `pipeahead analyze` as pipelines grow: files of 1 to 32 MiB and DAGs of 100 to 10,000 tasks.

usage: analyze_growth.py PIPEAHEAD OUT.json
"""
import json
import os
import subprocess
import sys
import tempfile

SIZES_MIB = (1, 2, 4, 8, 16, 32)
TASKS = (100, 1000, 10000)
# A child's peak memory begins with its parent's: a small process of its own stands between.
MEASURE = ("import os,subprocess,sys; p=subprocess.Popen(sys.argv[1:],stdout=subprocess.DEVNULL); _,s,u=os.wait4(p.pid,0); "
           "print(os.waitstatus_to_exitcode(s),u.ru_utime+u.ru_stime,u.ru_maxrss*1024)")
SCRIPT = "import numpy as np\nfor step in range(100):\n    print(step, np.zeros(3))  # gs://bucket/data/part.csv\n"


def argo(tasks, script_lines=0):
    """As the KFP v1 SDK writes it: a chain in which every task takes an artifact of the one before."""
    lines = ["apiVersion: argoproj.io/v1alpha1", "kind: Workflow",
             "metadata: {generateName: large-, annotations: {pipelines.kubeflow.org/kfp_sdk_version: 1.8.10}}",
             "spec:", "  entrypoint: main", "  templates:", "  - name: main", "    dag:", "      tasks:"]
    for i in range(tasks):
        lines.append(f"      - name: task-{i}\n        template: task-{i}")
        if i > 0:
            lines.append(f"        dependencies: [task-{i - 1}]\n        arguments:\n          artifacts:\n"
                         f"          - {{name: task-{i - 1}-out, from: '{{{{tasks.task-{i - 1}.outputs.artifacts."
                         f"task-{i - 1}-out}}}}'}}")
    for i in range(tasks):
        lines.append(f"  - name: task-{i}\n    container:\n      args: [--rate, '0.1', --out, /tmp/outputs/out/data]\n"
                     "      command:\n      - python3\n      - -c\n      - |")
        lines.extend("        " + line for line in (SCRIPT * max(1, script_lines // 3)).splitlines())
        lines.append("      image: python:3.9\n      volumeMounts: [{mountPath: /data, name: data}]")
        if i > 0:
            lines.append(f"    inputs:\n      artifacts:\n      - {{name: task-{i - 1}-out, path: /tmp/inputs/in/data}}")
        lines.append(f"    outputs:\n      artifacts:\n      - {{name: task-{i}-out, path: /tmp/outputs/out/data}}\n"
                     "    volumes: [{name: data, persistentVolumeClaim: {claimName: claim}}]")
    return "\n".join(lines) + "\n"


def component(tasks):
    """The same chain as KFP v2 writes it."""
    artifact = {"artifactType": {"schemaTitle": "system.Dataset", "schemaVersion": "0.0.1"}}
    spec = {"components": {}, "deploymentSpec": {"executors": {}}, "pipelineInfo": {"name": "large"},
            "root": {"dag": {"tasks": {}}}, "schemaVersion": "2.1.0", "sdkVersion": "kfp-2.7.0"}
    for i in range(tasks):
        spec["components"][f"comp-{i}"] = {
            "executorLabel": f"exec-{i}", "inputDefinitions": {"artifacts": {"data": artifact} if i > 0 else {}},
            "outputDefinitions": {"artifacts": {"out": artifact}}}
        spec["deploymentSpec"]["executors"][f"exec-{i}"] = {"container": {
            "args": ["--executor_input", "{{$}}"], "command": ["python3", "-c", SCRIPT], "image": "python:3.9"}}
        spec["root"]["dag"]["tasks"][f"task-{i}"] = {
            "componentRef": {"name": f"comp-{i}"}, "taskInfo": {"name": f"task-{i}"}, "cachingOptions": {"enableCache": True},
            **({"dependentTasks": [f"task-{i - 1}"], "inputs": {"artifacts": {"data": {"taskOutputArtifact": {
                "outputArtifactKey": "out", "producerTask": f"task-{i - 1}"}}}}} if i > 0 else {})}
    return json.dumps(spec, indent=1)


def measure(program, text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        line = subprocess.run([sys.executable, "-c", MEASURE, program, "analyze", "--no-catalog", "--format", "paper", file.name],
                              check=True, capture_output=True, text=True)
    code, cpu_s, peak_bytes = line.stdout.split()
    if code != "0":
        sys.exit(f"pipeahead analyze failed: {line.stderr}")
    size = len(text)
    return {"mib": round(size / 2**20, 2), "cpu_s": round(float(cpu_s), 3), "peak_mib": round(int(peak_bytes) / 2**20, 1),
            "peak_of_text": round(int(peak_bytes) / size, 1), "mb_per_s": round(size / 1e6 / float(cpu_s), 1)}


def main():
    program, out = sys.argv[1:]
    rows = []
    for kind, make in (("argo", argo), ("kfp-v2-ir", component)):
        for tasks in TASKS:
            rows.append({"kind": kind, "tasks": tasks, **measure(program, make(tasks))})
    per_task, per_line = len(argo(10000)) / 10000, len(SCRIPT) / 3 + 8
    for size in SIZES_MIB:
        rows.append({"kind": "argo, by size", "tasks": (tasks := int(size * 2**20 / per_task * 0.98)),
                     **measure(program, argo(tasks))})
    for size in SIZES_MIB:
        lines = int(size * 2**20 * 0.98 / 20 / per_line)
        rows.append({"kind": "argo, 20 tasks with long scripts", "tasks": 20, **measure(program, argo(20, lines))})
    json.dump({"analyze_growth": rows}, open(out, "w", encoding="utf-8"), indent=1)


main()
