#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Order, artifact edges and claims of Argo workflows, worked out a second time and compared.

usage: analyze_cross_check.py PIPEAHEAD FILE...

Written from the rules of the analysis model, not from the C code: a plain recursive walk with PyYAML that
knows nothing of limits or of speed.  Prints each difference and ends with 1 when there is one, with 77 when
PyYAML is missing.
"""
import json
import re
import subprocess
import sys

try:
    import yaml
except ImportError:
    sys.exit(77)

REFERENCE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
OUTPUT = re.compile(r"(?:tasks|steps)\.([^.]+)\.outputs\.(parameters|artifacts)\.(.+)")
ANY_TASK = re.compile(r"(?:tasks|steps)\.([^.]+)\.")
INPUT = re.compile(r"inputs\.(parameters|artifacts)\.(.+)")


def texts(value):
    if isinstance(value, dict):
        for child in value.values():
            yield from texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts(child)
    elif value is not None:
        yield str(value)


class Walk:
    """One workflow: `tasks` maps id to its facts, in the file's order."""

    def __init__(self, spec):
        self.spec = spec
        self.templates = {t["name"]: t for t in spec["templates"]}
        self.values = {p["name"]: p.get("value") for p in (spec.get("arguments") or {}).get("parameters") or []}
        self.tasks = {}
        self.created = {}

    def run(self):
        entry = self.spec["entrypoint"]
        ends = self.enter(entry, entry, "", [], [], None, None)
        if self.spec.get("onExit"):
            self.enter(self.spec["onExit"], "onExit", "onExit/", list(ends), [], None, None)
        for name, task in self.tasks.items():
            resource = task["template"].get("resource") or {}
            if resource.get("action") == "create":
                made = yaml.safe_load(self.value(resource["manifest"], task["scope"]))
                if made["kind"] == "PersistentVolumeClaim":
                    self.created[name] = made["metadata"]["name"]
        for task in self.tasks.values():
            self.claims(task)

    # scope: (template, call, outer scope, places by key); a place is ("task", id), ("scope", scope) or None
    def enter(self, name, own_id, prefix, before, chain, call, outer):
        template = self.templates[name]
        if name in chain:
            return before, None
        scope = {"template": template, "call": call or {}, "outer": outer, "places": {}, "root": call is None}
        if "dag" in template:
            ends = self.dag(template["dag"]["tasks"], prefix, before, chain + [name], scope)
            return (ends, ("scope", scope)) if outer is not None else ends
        if "steps" in template:
            ends = self.steps(template["steps"], prefix, before, chain + [name], scope)
            return (ends, ("scope", scope)) if outer is not None else ends
        self.tasks[own_id] = {"id": own_id, "after": before, "scope": scope, "template": template}
        place = ("task", own_id)
        return ([own_id], place) if outer is not None else [own_id]

    def wanted(self, call):
        names = list(call.get("dependencies") or [])
        for key in ("arguments", "when", "withParam", "withItems", "withSequence"):
            for text in texts(call.get(key)):
                for inside in REFERENCE.findall(text):
                    match = ANY_TASK.match(inside)
                    if match:
                        names.append(match.group(1))
        return names

    def dag(self, calls, prefix, before, chain, scope):
        by_name = {c["name"]: c for c in calls}
        ends = {}

        # ids first in the file's order, edges when all is known: two passes over the same walk
        def visit(call):
            name = call["name"]
            if name in ends:
                return ends[name]
            wants = self.wanted(call)
            mine = []
            for other in wants:
                mine += visit(by_name[other])
            mine = sorted(set(mine)) if wants else before
            ends[name], scope["places"][name] = self.enter(call["template"], prefix + name, prefix + name + "/",
                                                           mine, chain, call, scope)
            return ends[name]

        for call in calls:
            visit(call)
        waited = {other for call in calls for other in self.wanted(call)}
        last = [e for call in calls if call["name"] not in waited for e in ends[call["name"]]]
        return last if calls else before

    def steps(self, groups, prefix, before, chain, scope):
        for group in groups:
            after = []
            for call in group if isinstance(group, list) else [group]:
                wants = [e for other in self.wanted(call) for e in self.place_ends(scope, other)]
                end, scope["places"][call["name"]] = self.enter(
                    call["template"], prefix + call["name"], prefix + call["name"] + "/",
                    sorted(set(before + wants)), chain, call, scope)
                after += end
            before = after or before
        return before

    def place_ends(self, scope, name):
        place = scope["places"][name]
        return [place[1]] if place and place[0] == "task" else []

    # where a text comes from: a set of (task, output)
    def origins(self, text, scope, depth=0):
        found = set()
        for inside in REFERENCE.findall(str(text)):
            match = OUTPUT.match(inside)
            if match:
                found |= self.output(scope, *match.groups(), depth)
            match = INPUT.match(inside)
            if match and depth < 50:
                found |= self.input(scope, match.group(1), match.group(2), depth + 1)
        return found

    def output(self, scope, name, kind, output, depth):
        while scope is not None and name not in scope["places"]:
            scope = scope["outer"]
        place = scope["places"][name] if scope else None
        if place is None:
            return set()
        if place[0] == "task":
            return {(place[1], output)}
        for declared in (place[1]["template"].get("outputs") or {}).get(kind) or []:
            if declared["name"] == output:
                text = declared.get("from") or (declared.get("valueFrom") or {}).get("parameter") or ""
                return self.origins(text, place[1], depth + 1)
        return set()

    def input(self, scope, kind, name, depth):
        for given in ((scope["call"].get("arguments") or {}).get(kind)) or []:
            if given["name"] == name:
                return self.origins(given.get("value", given.get("from", "")), scope["outer"], depth)
        return set()

    def value(self, text, scope, depth=0):
        """The text with what is known filled in."""
        def replace(match):
            inside = match.group(1)
            if inside.startswith("workflow.parameters."):
                value = self.values.get(inside[len("workflow.parameters."):])
            elif inside.startswith("inputs.parameters.") and depth < 50:
                value = self.known_input(scope, inside[len("inputs.parameters."):], depth + 1)
            else:
                value = None
            return match.group(0) if value is None else str(value)
        return REFERENCE.sub(replace, str(text))

    def known_input(self, scope, name, depth):
        if scope["root"]:
            return self.values.get(name)
        for given in ((scope["call"].get("arguments") or {}).get("parameters")) or []:
            if given["name"] == name:
                value = self.value(given.get("value", "{{}}"), scope["outer"], depth)
                return None if "{{" in value else value
        return None

    def claims(self, task):
        template = task["template"]
        volumes = {v["name"]: v for v in (self.spec.get("volumes") or []) + (template.get("volumes") or [])}
        task["claims"] = set()
        containers = [template[k] for k in ("container", "script") if k in template]
        containers += (template.get("initContainers") or []) + (template.get("sidecars") or [])
        for container in containers:
            for mount in container.get("volumeMounts") or []:
                source = volumes.get(mount["name"], {}).get("persistentVolumeClaim")
                if source is None:
                    continue
                name = self.value(source["claimName"], task["scope"])
                makers = {t for t, _ in self.origins(source["claimName"], task["scope"])
                          if t in self.created}
                makers |= {t for t, made in self.created.items() if made == name}
                maker = min(makers) if makers else None
                name = self.created.get(maker, name)
                task["claims"].add((mount["mountPath"], None if "{{" in name else name, maker))


def artifacts(walk, task):
    found = set()
    for declared in (task["template"].get("inputs") or {}).get("artifacts") or []:
        makers = walk.input(task["scope"], "artifacts", declared["name"], 0)
        makers |= walk.origins((declared.get("raw") or {}).get("data", ""), task["scope"])
        for maker, output in makers:
            found.add((declared["name"], maker, output))
    return found


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def compare(path, spec, pipeline):
    walk = Walk(spec)
    walk.run()
    problems = []
    theirs = {t["id"]: t for t in pipeline["tasks"]}
    if set(theirs) != set(walk.tasks):
        return ["%s: ids %s != %s" % (path, sorted(theirs), sorted(walk.tasks))], 0
    edges = 0
    for name, task in walk.tasks.items():
        other = theirs[name]
        got = {(i["name"], f["task"], f["output"]) for i in other["inputs"] if i["kind"] == "artifact"
               for f in listed(i["from"]) if "task" in f}
        claims = {(m["path"], m["claim"], m["created_by"]) for m in other["mounts"] if m["kind"] == "pvc"}
        for what, mine, found in (("after", set(task["after"]), set(other["after"])),
                                  ("artifacts", artifacts(walk, task), got), ("claims", task["claims"], claims)):
            edges += len(mine)
            if mine != found:
                problems.append("%s: %s: %s: expected %s, got %s" % (path, name, what, mine, found))
    return problems, edges


def main():
    program, files = sys.argv[1], sys.argv[2:]
    problems, checked, edges = [], 0, 0
    for path in files:
        with open(path, encoding="utf-8") as handle:
            documents = [d for d in yaml.safe_load_all(handle) if isinstance(d, dict)]
        run = subprocess.run([program, "analyze", path, "--format", "json"], capture_output=True, text=True)
        if run.returncode == 3:
            print("refused: " + run.stderr.strip())
            continue
        if run.returncode != 0:
            problems.append("%s: exit code %d: %s" % (path, run.returncode, run.stderr))
            continue
        for document, pipeline in zip(documents, json.loads(run.stdout)["pipelines"]):
            found, count = compare(path, document["spec"], pipeline)
            problems += found
            edges += count
            checked += 1
    print("\n".join(problems))
    print("%d workflows, %d edges and claims compared, %d differences" % (checked, edges, len(problems)))
    return 1 if problems or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
