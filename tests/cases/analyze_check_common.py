# SPDX-License-Identifier: Apache-2.0
"""What the readers of analyze_cross_check.py share: YAML as text, facts of a task, and how two sets of them differ.

A reader turns one document into `Facts` by id, from the raw file and the rules of the analysis model alone.
A document that the rules refuse raises Bad.
"""
import json
import re

import yaml
from yaml.cyaml import CParser


class Bad(Exception):
    """The document is no pipeline that can be analysed; says why."""


class Loader(CParser, yaml.constructor.SafeConstructor, yaml.resolver.BaseResolver):
    """Scalars stay the text that the file has (a count of 010 is "010"); only null, true and false are known."""

    def __init__(self, stream):
        CParser.__init__(self, stream)
        yaml.constructor.SafeConstructor.__init__(self)
        yaml.resolver.BaseResolver.__init__(self)

    def construct_mapping(self, node, deep=False):
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode)]
        if len(keys) != len(set(keys)):
            raise Bad("a key twice at line %d" % (node.start_mark.line + 1))
        return super().construct_mapping(node, deep)


Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
                             list("tTfF"))
Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^(?:<<)$"), ["<"])


def load(text):
    """The documents of a text that are not empty, as (index, first line, value); all documents are counted."""
    loader = Loader(text)
    documents = []
    index = 0
    while loader.check_node():
        node = loader.get_node()
        try:
            value = loader.construct_document(node)
        except Bad as reason:
            value = reason
        if value is not None:
            documents.append((index, node.start_mark.line + 1, value))
        index += 1
    return documents


class Facts:
    """One task.  Edges are sets: artifacts {(input, task, output)}, parameters {(input, place...)} where a place
    is ("task", id, output), ("parameter", name) or ("item", task or None, output or None); claims {(path, claim,
    created_by)}; loop is None or (items or None, {(task, output)})."""

    def __init__(self, name, kind="container", role="main"):
        self.id, self.kind, self.role = name, kind, role
        self.after, self.artifacts, self.parameters, self.claims = set(), set(), set(), set()
        self.loop = None


def listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def mapped(value):
    return value if isinstance(value, dict) else {}


def named(values):
    """A list of maps with names, by name."""
    return {v["name"]: v for v in listed(values) if isinstance(v, dict) and "name" in v}


def texts(value):
    """Every scalar in a value, as text."""
    if isinstance(value, dict):
        for child in value.values():
            yield from texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from texts(child)
    elif value is not None:
        yield as_text(value)


def as_text(value):
    """A value as the parameter that carries it: text as written, lists and maps as JSON."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "" if value is None else str(value)


def list_length(text):
    """The number of items of a JSON list in a text, or None."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return None
    return len(value) if isinstance(value, list) else None


def origins_of(task, artifact):
    """The edges that the analyzer printed for one kind of input."""
    found = set()
    for entry in task["inputs"]:
        if (entry["kind"] == "artifact") != artifact:
            continue
        for place in listed(entry["from"]):
            if place.get("item"):
                found.add((entry["name"], "item", place.get("task"), place.get("output")))
            elif "task" in place:
                found.add((entry["name"], "task", place["task"], place["output"]))
            elif "parameter" in place:
                found.add((entry["name"], "parameter", place["parameter"]))
    return found


def loop_of(task):
    loop = task["loop"]
    if loop is None:
        return None
    place = loop["from"]
    return loop["items"], {(place["task"], place["output"])} if place else set()


def same_loop(mine, printed):
    """The model names one producer of a list; a list made of several has any of them."""
    if mine is None or printed is None:
        return mine == printed
    return mine[0] == printed[0] and (mine[1] == printed[1] or (printed[1] and printed[1] <= mine[1]))


def differences(facts, tasks):
    """Yields (task, field, expected, printed) for a document; `tasks` are those of the analyzer."""
    printed = {t["id"]: t for t in tasks}
    if set(facts) != set(printed):
        yield "", "ids", sorted(set(facts) - set(printed)), sorted(set(printed) - set(facts))
    for name, mine in facts.items():
        if name not in printed:
            continue
        task = printed[name]
        artifacts = {(i, *rest) for i, kind, *rest in origins_of(task, True) if kind == "task"}
        claims = {(m["path"], m["claim"], m["created_by"]) for m in task["mounts"] if m["kind"] == "pvc"}
        for field, expected, got in (
                ("kind", mine.kind, task["kind"]), ("role", mine.role, task["role"]),
                ("after", mine.after, set(task["after"])), ("artifacts", mine.artifacts, artifacts),
                ("parameters", mine.parameters, origins_of(task, False)), ("claims", mine.claims, claims)):
            if expected != got:
                yield name, field, shown(expected, got), shown(got, expected)
        if not same_loop(mine.loop, loop_of(task)):
            yield name, "loop", mine.loop, loop_of(task)


def shown(value, other):
    """What of a value the other side lacks."""
    return sorted(value - other, key=repr) if isinstance(value, set) else value
