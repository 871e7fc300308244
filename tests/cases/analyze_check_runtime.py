# SPDX-License-Identifier: Apache-2.0
"""KFP v2 at run time: the components and implementations that a Workflow carries as JSON, put together again.

The calls of drivers say which parameter holds which component: `component` and `container` or `importer` name it,
`task` has the componentRef of the IR.
"""
import json
import re

import analyze_check_ir
from analyze_check_common import Bad, as_text, listed, mapped, named

PARAMETER = re.compile(r"\{\{workflow\.parameters\.(.*)\}\}$")


class Carried:
    def __init__(self, spec):
        self.spec = spec
        parameters = named(mapped(spec.get("arguments")).get("parameters"))
        self.values = {n: p.get("value") for n, p in parameters.items()}
        self.components, self.executors, self.platform = {}, {}, {}
        self.run_values = {}

    def json_of(self, text):
        """A JSON text, or the one in the workflow's parameter that the text names."""
        match = PARAMETER.match(str(text or ""))
        if match:
            text = self.values.get(match.group(1))
        try:
            return json.loads(text) if text else None
        except ValueError as reason:
            raise Bad("broken JSON") from reason

    def gather(self):
        for template in self.spec["templates"]:
            for call in listed(mapped(template.get("dag")).get("tasks")):
                given = {n: p.get("value") for n, p in
                         named(mapped(call.get("arguments")).get("parameters")).items()}
                if "runtime-config" in given:
                    config = self.json_of(given["runtime-config"]) or {}
                    for name, value in mapped(config.get("parameterValues")).items():
                        self.run_values[name] = as_text(value)
                if "task" in given:
                    self.driver(given)

    def driver(self, given):
        name = mapped(mapped(self.json_of(given["task"])).get("componentRef")).get("name")
        component = self.json_of(given.get("component"))
        if not name or component is None:
            return
        label = "of " + name
        if "container" in given:
            self.executors[label] = {"container": self.json_of(given["container"]) or {}}
        elif "importer" in given:
            self.executors[label] = {"importer": self.json_of(given["importer"]) or {}}
        if "dag" not in component:
            component = dict(component, executorLabel=label)
        self.platform[label] = self.json_of(given.get("kubernetes-config")) or {}
        self.components[name] = component

    def ir(self):
        self.gather()
        root = self.json_of(self.values.get("components-root"))
        if root is None:
            raise Bad("no components-root")
        workspace = bool(self.spec.get("volumeClaimTemplates"))
        return analyze_check_ir.Spec(root, self.components, self.executors, self.platform, self.run_values, workspace)


def is_runtime(document):
    parameters = named(mapped(mapped(document.get("spec")).get("arguments")).get("parameters"))
    return document.get("kind") == "Workflow" and any(n.startswith("components-") for n in parameters)


def read(documents):
    for index, _, document in documents:
        if not is_runtime(mapped(document)):
            continue
        try:
            yield index, analyze_check_ir.Walk(Carried(document["spec"]).ir()).run()
        except Bad as reason:
            yield index, reason
