# SPDX-License-Identifier: Apache-2.0
"""KFP v2 IR, read from the rules of the analysis model.

Components come from a `Spec`, so that the same walk serves the pieces that a run-time workflow carries.
A place is where a value comes from: ("task", id, output), ("parameter", name), ("item", task, output), or
("value", text) for what is known.
"""
import json
import re

from analyze_check_common import Bad, Facts, as_text, list_length, listed, mapped

REFERENCE = re.compile(r"\{\{\$\.inputs\.(parameters|artifacts)\[(?:'|\")(.*?)(?:'|\")\]")
STUBS = ("argostub/createpvc", "argostub/deletepvc")
WORKSPACE = "/kfp-workspace"


class Spec:
    """components: name to component; executors: label to executor; platform: label to Kubernetes settings."""

    def __init__(self, root, components, executors, platform, values, workspace):
        self.root, self.components, self.executors = root, components, executors
        self.platform, self.values, self.workspace = platform, values, workspace


def spec_of(document, platforms):
    """The Spec of a document in any of its wrappings."""
    outer = wrapper_of(document)
    body = mapped(outer.get("pipelineSpec", outer))
    platforms = outer.get("platformSpec", platforms)
    config = mapped(document.get("runtimeConfig"))
    values = {n: as_text(v) for n, v in mapped(config.get("parameterValues")).items()}
    for name, value in mapped(config.get("parameters")).items():
        values[name] = constant_text(value)
    kubernetes = mapped(mapped(mapped(platforms).get("platforms")).get("kubernetes"))
    platform = mapped(mapped(kubernetes.get("deploymentSpec")).get("executors"))
    workspace = "workspace" in mapped(kubernetes.get("pipelineConfig"))
    return Spec(body["root"], mapped(body.get("components")),
                mapped(mapped(body.get("deploymentSpec")).get("executors")), platform, values, workspace)


def wrapper_of(document):
    """A pipeline in a Kubernetes object stands in its spec."""
    spec = mapped(document.get("spec"))
    return spec if "pipelineSpec" in spec else document


def constant_text(value):
    """A constant, or a legacy one with its type as key."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("stringValue", "intValue", "doubleValue"):
        value = next(iter(value.values()))
    return as_text(value)


class Scope:
    """A DAG on the way: its component's name, the call and the scope that it was called in, the places of its tasks."""

    def __init__(self, component, call, outer, key):
        self.component, self.call, self.outer, self.key = component, call, outer, key
        self.places, self.prefix = {}, ""


class Walk:
    def __init__(self, spec):
        self.spec, self.tasks, self.scopes = spec, {}, {}

    def run(self):
        root = Scope(self.spec.root, None, None, "")
        if "dag" not in self.spec.root:
            raise Bad("the root has no dag")
        self.dag(root, "", set(), [], "main", None)
        for name, facts in self.tasks.items():
            self.inputs(facts, *self.scopes[name])
        made = {n: self.created_name(n) for n in self.tasks if self.stub(n) == STUBS[0]}
        for name, facts in self.tasks.items():
            facts.claims = self.claims(self.scopes[name][0], facts, made)
        return self.tasks

    # -- order ----------------------------------------------------------------------------------------------------

    def wanted(self, call):
        names = set(listed(call.get("dependentTasks")))
        inputs = mapped(call.get("inputs"))
        for source in list(mapped(inputs.get("artifacts")).values()) + list(mapped(inputs.get("parameters")).values()):
            for kind in ("taskOutputArtifact", "taskOutputParameter", "taskFinalStatus"):
                if kind in source:
                    names.add(source[kind]["producerTask"])
        return names

    def dag(self, scope, prefix, before, chain, role, loop):
        """Lists the tasks of a DAG; returns the ids that end last."""
        calls = mapped(scope.component["dag"].get("tasks"))
        ends, under_way = {}, []

        def visit(key):
            if key in ends:
                return ends[key]
            if key not in calls:
                raise Bad("no task %s" % key)
            if key in under_way:
                raise Bad("a circle at %s" % key)
            under_way.append(key)
            wants = self.wanted(calls[key])
            mine = set().union(*(visit(k) for k in sorted(wants))) if wants else before
            under_way.pop()
            ends[key] = self.enter(scope, key, calls[key], prefix, mine, chain, role, loop)
            return ends[key]

        for key in calls:
            visit(key)
        waited = set().union(*(self.wanted(c) for c in calls.values())) if calls else set()
        last = [ends[k] for k in calls if k not in waited]
        return set().union(*last) if last else before

    def enter(self, outer, key, call, prefix, before, chain, role, loop):
        name = mapped(call.get("componentRef")).get("name")
        component = self.spec.components.get(name)
        if component is None:
            raise Bad("no component %s" % name)
        if call.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED" and any(
                d.startswith("exit-handler-") for d in listed(call.get("dependentTasks"))):
            role = "exit"
        if "parameterIterator" in call or "artifactIterator" in call:
            loop = (call, outer)
        scope = Scope(component, call, outer, key)
        if "dag" in component:
            outer.places[key] = scope
            if name in chain:
                return before
            return self.dag(scope, prefix + key + "/", before, chain + [name], role, loop)
        facts = Facts(prefix + key, self.kind(component), role)
        facts.after = set(before)
        facts.loop = loop and self.loop(*loop)
        self.tasks[facts.id] = facts
        self.scopes[facts.id] = (scope, outer)
        outer.places[key] = facts.id
        return {facts.id}

    def executor(self, component):
        return mapped(self.spec.executors.get(component.get("executorLabel")))

    def kind(self, component):
        executor = self.executor(component)
        if "importer" in executor:
            return "importer"
        if not executor:
            return "unresolved"
        return "resource" if mapped(executor.get("container")).get("image") in STUBS else "container"

    def stub(self, name):
        return mapped(self.executor(self.scopes[name][0].component).get("container")).get("image")

    # -- values ---------------------------------------------------------------------------------------------------

    def places(self, scope, kind, name, depth=0):
        """Where the input `name` of the component in `scope` comes from."""
        if depth > 60:
            return set()
        call = scope.call
        if call is None:
            return {("parameter", name)} if kind == "parameters" else set()
        iterator = mapped(call.get("parameterIterator" if kind == "parameters" else "artifactIterator"))
        if iterator.get("itemInput") == name:
            makers = [p for p in self.list_places(scope, iterator, kind, depth) if p[0] in ("task", "item") and p[1]]
            return {("item", p[1], p[2]) for p in makers} or {("item", None, None)}
        source = mapped(mapped(call.get("inputs")).get(kind)).get(name)
        if source is None:
            definition = mapped(mapped(scope.component.get("inputDefinitions")).get(kind)).get(name) or {}
            return {("value", as_text(definition["defaultValue"]))} if "defaultValue" in definition else set()
        return self.source(scope, kind, source, depth)

    def list_places(self, scope, iterator, kind, depth):
        items = mapped(iterator.get("items"))
        if "raw" in items:
            return self.in_text(scope, items["raw"], depth)
        wanted = items.get("inputParameter", items.get("inputArtifact"))
        return self.places(scope, kind, wanted, depth + 1)

    def source(self, scope, kind, source, depth):
        for key, output in (("taskOutputArtifact", "outputArtifactKey"), ("taskOutputParameter", "outputParameterKey")):
            if key in source:
                return self.output(scope.outer, kind, source[key]["producerTask"], source[key][output], depth)
        for key, other in (("componentInputArtifact", "artifacts"), ("componentInputParameter", "parameters")):
            if key in source:
                return self.places(scope.outer, other, source[key], depth + 1)
        value = mapped(source.get("runtimeValue"))
        for key in ("constant", "constantValue"):
            if key in value:
                text = constant_text(value[key])
                return self.in_text(scope, text, depth) or {("value", text)}
        if "runtimeParameter" in value:
            return {("parameter", value["runtimeParameter"])}
        return set()

    def in_text(self, scope, text, depth):
        """The inputs that a constant mentions are those of the task itself."""
        found = set()
        for kind, name in REFERENCE.findall(text):
            found |= self.places(scope, kind, name, depth + 1)
        return {p for p in found if p[0] != "value"}

    def output(self, outer, kind, key, output, depth):
        place = outer.places.get(key)
        if isinstance(place, str):
            return {("task", place, output)}
        if place is None or depth > 60:
            return set()
        declared = mapped(mapped(place.component["dag"].get("outputs")).get(kind)).get(output) or {}
        found = set()
        for selector in self.selectors(declared):
            wanted = selector.get("outputArtifactKey", selector.get("outputParameterKey"))
            found |= self.output(place, kind, selector["producerSubtask"], wanted, depth + 1)
        return found

    @staticmethod
    def selectors(declared):
        yield from listed(declared.get("artifactSelectors"))
        yield from listed(declared.get("valueFromParameter"))
        yield from listed(mapped(declared.get("valueFromOneof")).get("parameterSelectors"))

    def value(self, scope, name, depth=0):
        """The text of an input that is known before the run, or None."""
        source = mapped(mapped(mapped(scope.call).get("inputs")).get("parameters")).get(name)
        if source is None or depth > 60:
            return self.known(self.places(scope, "parameters", name, depth))
        return self.given_value(scope, source, depth)

    def given_value(self, scope, source, depth=0):
        """The text that a call or a mount gives, where constants and the inputs that they mention are known."""
        if "componentInputParameter" in source:
            return self.value(scope.outer, source["componentInputParameter"], depth + 1)
        constant = mapped(source.get("runtimeValue")).get("constant", source.get("constant"))
        if constant is None:
            return self.known(self.source(scope, "parameters", source, depth))

        def replace(match):
            value = self.value(scope, match.group(2), depth + 1) if match.group(1) == "parameters" else None
            return match.group(0) if value is None else value
        text = re.sub(REFERENCE.pattern + r"\}\}", replace, as_text(constant))
        return None if "{{$.inputs" in text else text

    def known(self, places):
        if len(places) != 1:
            return None
        place = next(iter(places))
        if place[0] == "value":
            return place[1]
        if place[0] == "parameter":
            definition = mapped(mapped(self.spec.root.get("inputDefinitions")).get("parameters")).get(place[1]) or {}
            value = self.spec.values.get(place[1], definition.get("defaultValue"))
            return None if value is None else as_text(value)
        return None

    def inputs(self, facts, scope, outer):
        inputs = mapped(scope.call.get("inputs"))
        for name in mapped(inputs.get("artifacts")):
            facts.artifacts |= {(name, p[1], p[2]) for p in self.places(scope, "artifacts", name) if p[0] == "task"}
        for name in self.parameter_names(scope):
            facts.parameters |= {(name, *p) for p in self.places(scope, "parameters", name) if p[0] != "value"}

    @staticmethod
    def parameter_names(scope):
        """What a component declares: a call also holds channels that only its constants mention."""
        names = set(mapped(mapped(scope.call.get("inputs")).get("parameters")))
        names |= {mapped(scope.call.get("parameterIterator")).get("itemInput")}
        return names & set(mapped(mapped(scope.component.get("inputDefinitions")).get("parameters")))

    def loop(self, call, outer):
        """Number of items and producers of the list of a looping call."""
        scope = Scope(self.spec.components[call["componentRef"]["name"]], call, outer, "")
        kind = "parameters" if "parameterIterator" in call else "artifacts"
        iterator = call.get("parameterIterator") or call["artifactIterator"]
        places = self.list_places(scope, iterator, kind, 0)
        makers = {(p[1], p[2]) for p in places if p[0] in ("task", "item") and p[1]}
        items = mapped(iterator.get("items"))
        return list_length(items["raw"] if "raw" in items else self.value(scope, items.get("inputParameter"))), makers

    # -- claims ---------------------------------------------------------------------------------------------------

    def created_name(self, name):
        """The name of the claim that a task makes, where it is known."""
        scope, _ = self.scopes[name]
        return self.value(scope, "pvc_name") or None

    def claims(self, scope, facts, made):
        label = scope.component.get("executorLabel")
        found = set()
        for mount in listed(mapped(self.spec.platform.get(label)).get("pvcMount")):
            source = mapped(mount.get("pvcNameParameter")) or mount
            places = self.mount_places(scope, source)
            makers = {p[1] for p in places if p[0] == "task"} & set(made)
            claim = self.given_value(scope, source)
            makers |= {n for n, text in made.items() if claim and text == claim}
            maker = next((n for n in made if n in makers), None)
            found.add((mount["mountPath"], made[maker] if maker else claim, maker))
        if self.spec.workspace and self.uses_workspace(scope, facts):
            found.add((WORKSPACE, None, None))
        return found

    def mount_places(self, scope, source):
        if "constant" in source:
            return {("value", source["constant"])}
        return self.source(scope, "parameters", source, 0)

    def uses_workspace(self, scope, facts):
        """By a placeholder, or through an artifact that an importer puts there."""
        given = json.dumps(scope.call.get("inputs", {})) + json.dumps(self.executor(scope.component))
        makers = {facts.id} | {maker for _, maker, _ in facts.artifacts}
        return "{{$.workspace_path}}" in given or any(self.in_workspace(maker) for maker in makers)

    def in_workspace(self, name):
        importer = mapped(self.executor(self.scopes[name][0].component).get("importer"))
        return bool(importer.get("downloadToWorkspace"))


def read(documents):
    """documents: (index, line, value) of one file; yields (index, Facts by id or Bad)."""
    pipelines = [i for i, (_, _, v) in enumerate(documents) if is_pipeline(v)]
    for place in pipelines:
        later = [v for _, _, v in documents[place + 1:]]
        platforms = later[0] if later and "platforms" in mapped(later[0]) else None
        try:
            result = Walk(spec_of(documents[place][2], platforms)).run()
        except Bad as reason:
            result = reason
        yield documents[place][0], result


def is_pipeline(value):
    outer = wrapper_of(mapped(value))
    body = mapped(outer.get("pipelineSpec", outer))
    return "root" in body and ("components" in body or "deploymentSpec" in body)
