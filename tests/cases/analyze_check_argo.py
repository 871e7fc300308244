# SPDX-License-Identifier: Apache-2.0
"""Argo workflows and their kin, read from the rules of the analysis model: tasks, order, edges, claims."""
import copy
import re

import yaml

import analyze_check_runtime
from analyze_check_argo_values import Values, calls_named
from analyze_check_common import Bad, Facts, as_text, listed, load, mapped, named, texts

KINDS = ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate", "CronWorkflow")
RUNS = ("container", "script", "resource", "http", "suspend", "plugin", "data", "containerSet")
LOOPS = ("withItems", "withParam", "withSequence", "withExpression")
RESULTS = "Succeeded|Failed|Errored|Skipped|Omitted|Daemoned|AnySucceeded|AllFailed"
NAMED_TASK = re.compile(r"([\w-]+)(?:\.(?:%s))?" % RESULTS)


class Scope:
    """A template on the way.  call: None for what the workflow itself starts; outer: the scope of the call;
    places: what each call in it became, an id or a Scope; space: the templates that its calls name;
    current: the call whose {{item}} a text means."""

    def __init__(self, template, space, call, outer):
        self.template, self.space, self.call, self.outer = template, space, call, outer
        self.places, self.current = {}, None

    def looking_from(self, call):
        view = copy.copy(self)
        view.current = call
        return view

    def detached(self, call=None):
        """What a template's own defaults can see: the workflow and its other inputs, no tasks."""
        view = copy.copy(self)
        view.places, view.current = {}, call
        return view


def spec_of(document):
    spec = mapped(document.get("spec"))
    return mapped(spec.get("workflowSpec")) if document.get("kind") == "CronWorkflow" else spec


def library_of(documents):
    """The templates that other documents can name, by (cluster scope, name)."""
    found = {}
    for _, _, document in documents:
        document = mapped(document)
        if document.get("kind") in ("WorkflowTemplate", "ClusterWorkflowTemplate"):
            key = (document["kind"] == "ClusterWorkflowTemplate", mapped(document.get("metadata")).get("name"))
            found[key] = spec_of(document)
    return found


def joined(spec, base):
    """A workflow's spec over the one that it refers to: its own fields win, arguments by name."""
    result = dict(base, **spec)
    arguments = {}
    for kind in ("parameters", "artifacts"):
        under = named(mapped(base.get("arguments")).get(kind))
        for name, entry in named(mapped(spec.get("arguments")).get(kind)).items():
            under[name] = dict(under.get(name, {}), **entry)
        arguments[kind] = list(under.values())
    result["arguments"] = arguments
    result["templates"] = listed(base.get("templates")) + listed(spec.get("templates"))
    return result


def merged(over, under):
    """templateDefaults under a template: maps join, lists of named things join by name, else the template's."""
    if isinstance(over, dict) and isinstance(under, dict):
        return {k: merged(over[k], under[k]) if k in over and k in under else over.get(k, under.get(k))
                for k in list(over) + [k for k in under if k not in over]}
    if isinstance(over, list) and isinstance(under, list):
        for key in ("mountPath", "name"):
            if over and all(isinstance(v, dict) and key in v for v in over + under):
                mine = {v[key]: v for v in over}
                return [merged(v, next((u for u in under if u[key] == v[key]), {})) for v in over] + [
                    u for u in under if u[key] not in mine]
    return over


class Walk:
    def __init__(self, document, library):
        self.library = library
        self.spec = spec_of(document)
        self.complete = True
        reference = self.spec.get("workflowTemplateRef")
        if reference:
            base = self.library.get((bool(reference.get("clusterScope")), reference.get("name")))
            base = base or mapped(document.get("status")).get("storedWorkflowTemplateSpec")
            self.complete = base is not None
            self.spec = joined(self.spec, base or {})
        self.templates = self.space(self.spec)
        self.values = Values(mapped(self.spec.get("arguments")), self.writers)
        self.tasks, self.scopes, self.loops, self.conditions = {}, {}, {}, {}
        self.all_scopes, self.globals, self.reader = [], {}, None

    @staticmethod
    def space(spec):
        space = {}
        for template in listed(spec.get("templates")):
            if not isinstance(template, dict) or not isinstance(template.get("name"), str):
                raise Bad("a template without a name")
            if template["name"] in space:
                raise Bad("two templates %s" % template["name"])
            space[template["name"]] = template
        return space

    def run(self):
        roots = self.roots()
        ends = set()
        for name in roots:
            label = name if len(roots) > 1 else ""
            ends |= self.start(name, name, label + "/" if label else "", set(), "main")
        if self.spec.get("onExit"):
            self.start(self.spec["onExit"], "onExit", "onExit/", ends, "exit")
        self.hooks(self.spec, "", None, set(), ends)
        self.collect_globals()
        for name, facts in self.tasks.items():
            self.edges(name, facts)
        return self.tasks

    def roots(self):
        entry = self.spec.get("entrypoint")
        if isinstance(entry, (list, dict)):
            raise Bad("the entrypoint is no text")
        if entry:
            return [self.values.fill(entry, None)]
        if not self.complete:
            return [as_text(self.spec["workflowTemplateRef"].get("name"))]
        called = {as_text(self.spec.get("onExit"))}
        called |= {as_text(h.get("template")) for h in mapped(self.spec.get("hooks")).values()}
        for name, template in self.templates.items():
            for call in calls_of(template):
                called |= {target for target in names_called(call) if target != name}
        return [n for n in self.templates if n not in called]

    # -- order ----------------------------------------------------------------------------------------------------

    def start(self, name, own_id, prefix, before, role):
        """What the workflow itself starts."""
        template = self.templates.get(name)
        if template is None:
            if self.complete:
                raise Bad("no template %s" % name)
            return self.list_task(Scope({}, {}, None, None), own_id, "unresolved", before, role, None)
        scope = self.new_scope(template, self.templates, None, None)
        return self.body(scope, own_id, prefix, before, [id(template)], role, None)

    def new_scope(self, template, space, call, outer):
        defaults = mapped(self.spec.get("templateDefaults"))
        if defaults:
            kind = next((k for k in RUNS if k in template), None)
            template = merged(template, {k: v for k, v in defaults.items() if k not in RUNS or k == kind})
        scope = Scope(template, space, call, outer)
        self.all_scopes.append(scope)
        return scope

    def list_task(self, scope, name, kind, before, role, loop):
        if name in self.tasks:
            raise Bad("two tasks %s" % name)
        facts = Facts(name, kind, role)
        facts.after = set(before)
        self.tasks[name], self.scopes[name], self.loops[name] = facts, scope, loop
        self.conditions[name] = conditional(scope)
        return {name}

    def body(self, scope, own_id, prefix, before, chain, role, loop):
        """Lists what a template runs; returns the ids that end last."""
        template = scope.template
        if "dag" in template:
            return self.dag(scope, prefix, before, chain, role, loop)
        if "steps" in template:
            return self.steps(scope, prefix, before, chain, role, loop)
        kind = next((k for k in RUNS if template.get(k) is not None), "unresolved")
        ends = self.list_task(scope, own_id, kind.lower(), before, role, loop)
        return before if template.get("daemon") is True else ends

    def resolve(self, call, scope):
        """(template, the templates beside it) of a call; the template is None for one in no given file."""
        if call.get("inline"):
            return call["inline"], scope.space
        reference = call.get("templateRef")
        if reference:
            where = self.values.fill(reference.get("name"), scope)
            name = self.values.fill(reference.get("template"), scope)
            spec = self.library.get((reference.get("clusterScope") is True, where))
            if spec is None:
                return None, None
            space = self.space(spec)
            return space.get(name), space
        name = self.values.fill(call.get("template"), scope)
        if not name:
            raise Bad("a call of nothing")
        if name in scope.space:
            return scope.space[name], scope.space
        if "{{" not in name and self.complete:
            raise Bad("no template %s" % name)
        return None, None

    def enter(self, outer, call, prefix, before, chain, role, loop):
        name = call["name"]
        looped = next((k for k in LOOPS if call.get(k) is not None), None)
        around, loop = loop, (call, outer) if looped else loop
        template, space = self.resolve(call, outer)
        own_id = prefix + name
        if template is None:
            outer.places[name] = own_id
            ends = self.list_task(Scope({}, {}, call, outer), own_id, "unresolved", before, role, loop)
        elif id(template) in chain:
            return before
        else:
            scope = self.new_scope(template, space, call, outer)
            runs = "dag" not in template and "steps" not in template
            outer.places[name] = own_id if runs else scope
            ends = self.body(scope, own_id, own_id + "/", before, chain + [id(template)], role, loop)
        if call.get("onExit"):
            self.hook({"template": call["onExit"]}, own_id + "/onExit", ends, "exit", outer, around)
        self.hooks(call, own_id + "/", outer, before, ends, around)
        return ends

    def hooks(self, owner, prefix, outer, before, ends, loop=None):
        for name, hook in mapped(owner.get("hooks")).items():
            exits = name == "exit"
            self.hook(hook, prefix + "hooks." + name, ends if exits else before, "hook", outer, loop, exits)

    def hook(self, hook, name, before, role, outer, loop, exit_hook=True):
        outer = outer or Scope({}, self.templates, None, None)
        template, space = self.resolve(hook, outer)
        # An exit hook without arguments of its own gets the workflow's.
        call = hook if hook.get("arguments") or not exit_hook else None
        if template is None:
            self.list_task(Scope({}, {}, hook, outer), name, "unresolved", before, role, loop)
            return
        scope = self.new_scope(template, space, call, outer if call else None)
        self.body(scope, name, name + "/", before, [id(template)], role, loop)

    @staticmethod
    def referred(call):
        """The tasks or steps whose values a call uses."""
        return {name for key in ("arguments", "when", "inline", *LOOPS) for text in texts(call.get(key))
                for name in calls_named(text)} | Walk.in_expressions(call)

    @staticmethod
    def in_expressions(call):
        """fromExpression and from have no braces of their own."""
        found = set()
        for entry in listed(mapped(call.get("arguments")).get("artifacts")):
            for text in (entry.get("fromExpression"), entry.get("from")):
                if text and "{{" not in text:
                    found |= set(calls_named("{{=" + text + "}}"))
        for entry in listed(mapped(call.get("arguments")).get("parameters")):
            text = mapped(entry.get("valueFrom")).get("expression")
            if text:
                found |= set(calls_named("{{=" + text + "}}"))
        if call.get("withExpression"):
            found |= set(calls_named("{{=" + call["withExpression"] + "}}"))
        return found

    def wanted(self, call):
        names = set(listed(call.get("dependencies")))
        if call.get("depends"):
            names |= set(NAMED_TASK.findall(call["depends"]))
        return names | (self.referred(call) - {call["name"]})

    def dag(self, scope, prefix, before, chain, role, loop):
        calls = named(scope.template["dag"].get("tasks"))
        if len(calls) != len(listed(scope.template["dag"].get("tasks"))):
            raise Bad("two tasks of one name in %s" % scope.template.get("name"))
        ends, under_way = {}, []

        def visit(name):
            if name in ends:
                return ends[name]
            if name not in calls:
                raise Bad("no task %s" % name)
            if name in under_way:
                raise Bad("a circle at %s" % name)
            under_way.append(name)
            wants = self.wanted(calls[name])
            mine = set().union(*(visit(n) for n in sorted(wants))) if wants else before
            under_way.pop()
            ends[name] = self.enter(scope, calls[name], prefix, mine, chain, role, loop)
            return ends[name]

        targets = self.values.fill(scope.template["dag"].get("target"), scope).split()
        for name in targets or calls:
            visit(name)
        waited = set().union(*(self.wanted(calls[n]) for n in ends)) if ends else set()
        last = [ends[n] for n in ends if n not in waited]
        return set().union(*last) if last else before

    def steps(self, scope, prefix, before, chain, role, loop):
        seen, ends_of = set(), {}
        names = {c["name"] for group in listed(scope.template["steps"]) for c in listed(group)}
        for group in listed(scope.template["steps"]):
            after = set()
            for call in listed(group):
                if call["name"] in seen:
                    raise Bad("two steps %s" % call["name"])
                seen.add(call["name"])
                if self.referred(call) - names:
                    raise Bad("no step %s" % sorted(self.referred(call) - names))
                wants = set().union(*(ends_of[n] for n in self.referred(call) if n in ends_of), before)
                ends_of[call["name"]] = self.enter(scope, call, prefix, wants, chain, role, loop)
                after |= ends_of[call["name"]]
            before = after or before
        return before

    # -- edges and claims -----------------------------------------------------------------------------------------

    def collect_globals(self):
        """Who writes each name of workflow.outputs, a DAG's or steps' own outputs followed to their tasks."""
        ids = {id(s): n for n, s in self.scopes.items()}
        for scope in self.all_scopes:
            name = ids.get(id(scope))
            for kind in ("parameters", "artifacts"):
                for entry in listed(mapped(scope.template.get("outputs")).get(kind)):
                    if entry.get("globalName"):
                        places = {("task", name, entry["name"])} if name else self.values.declared(entry, kind, scope, 0)
                        self.globals.setdefault((kind, entry["globalName"]), set()).update(places)

    def ancestors(self, name):
        found, left = set(), [name]
        while left:
            for other in self.tasks[left.pop()].after - found:
                found.add(other)
                left.append(other)
        return found

    def writers(self, kind, name):
        """The tasks before the reader that write a global output, but for those that a later one surely replaces;
        all but the reader where none is before it."""
        if self.reader is None:
            return set()
        written = {p for p in self.globals.get((kind, name), set()) if p[0] == "task" and p[1] != self.reader}
        before = self.ancestors(self.reader)
        earlier = {p for p in written if p[1] in before}
        sure = {p[1] for p in earlier if not self.conditions[p[1]]}
        return {p for p in earlier if not any(p[1] in self.ancestors(later) for later in sure)} or written

    def edges(self, name, facts):
        scope, self.reader = self.scopes[name], name
        inputs = mapped(scope.template.get("inputs"))
        if facts.kind == "unresolved" and not scope.template:
            inputs = mapped((scope.call or self.spec).get("arguments"))
        for entry in listed(inputs.get("artifacts")):
            facts.artifacts |= {(entry["name"], p[1], p[2])
                                for p in self.values.input(scope, "artifacts", entry["name"]) if p[0] == "task"}
        for entry in listed(inputs.get("parameters")):
            facts.parameters |= {(entry["name"], *p)
                                 for p in self.values.input(scope, "parameters", entry["name"]) if p[0] != "value"}
        facts.loop = self.loops[name] and self.values.loop(*self.loops[name])
        facts.claims = self.claims(scope)

    def created(self):
        """The claims that tasks make: id to name, tags left in it where it is not known."""
        found = {}
        for name, scope in self.scopes.items():
            resource = mapped(scope.template.get("resource"))
            if resource.get("action") == "create" and resource.get("manifest"):
                for made in self.manifests(self.values.fill(resource["manifest"], scope)):
                    if made.get("kind") == "PersistentVolumeClaim":
                        found[name] = mapped(made.get("metadata")).get("name", "{{}}")
        return found

    @staticmethod
    def manifests(text):
        """The maps of a manifest; tags that stand as bare values are no YAML, so they are quoted first."""
        text = re.sub(r"(:\s+|-\s+)(\{\{.*?\}\})(\s*)$", r"\1'\2'\3", text, flags=re.M)
        try:
            return [v for _, _, v in load(text) if isinstance(v, dict)]
        except yaml.YAMLError:
            return []

    def claims(self, scope):
        template = scope.template
        if not hasattr(self, "made"):
            self.made = self.created()
        volumes = dict(named(self.spec.get("volumes")), **named(template.get("volumes")))
        temporary = {mapped(v.get("metadata")).get("name") for v in listed(self.spec.get("volumeClaimTemplates"))}
        found = set()
        for container in containers_of(template):
            for mount in listed(container.get("volumeMounts")):
                if not mount.get("mountPath"):
                    raise Bad("a mount without a path")
                path = self.values.fill(mount["mountPath"], scope)
                # Argo fills parameters into the whole template, so also into the name of a volume.
                name = self.values.fill(as_text(mount.get("name")), scope)
                volume = volumes.get(name, {})
                if "persistentVolumeClaim" in volume:
                    found.add((path, *self.claim(as_text(volume["persistentVolumeClaim"].get("claimName")), scope)))
                elif name in temporary and not volume:
                    found.add((path, None, None))
        return found

    def claim(self, text, scope):
        name = self.values.fill(text, scope)
        # A volume of the whole workflow can name tasks, those of the entrypoint.
        places = self.values.of_text(text, scope) | self.values.of_text(text, self.all_scopes[0])
        makers = {p[1] for p in places if p[0] == "task"} & set(self.made)
        makers |= {t for t, made in self.made.items() if made == name}
        maker = next((t for t in self.made if t in makers), None)
        name = self.made.get(maker, name)
        return (None if "{{" in name else name), maker


def conditional(scope):
    """Whether a task may be left out: a `when` on its call or on one around it."""
    while scope is not None:
        if mapped(scope.call).get("when") is not None:
            return True
        scope = scope.outer
    return False


def containers_of(template):
    found = [template[k] for k in ("container", "script") if template.get(k)]
    group = mapped(template.get("containerSet"))
    found += [group] + listed(group.get("containers"))
    return found + listed(template.get("initContainers")) + listed(template.get("sidecars"))


def calls_of(template):
    yield from listed(mapped(template.get("dag")).get("tasks"))
    for group in listed(template.get("steps")):
        yield from listed(group)


def names_called(call):
    """Templates of the same document that a call names, its hooks and what it has inline included."""
    if call.get("template"):
        yield call["template"]
    if call.get("onExit"):
        yield call["onExit"]
    for hook in mapped(call.get("hooks")).values():
        if hook.get("template"):
            yield hook["template"]
    for inner in calls_of(mapped(call.get("inline"))):
        yield from names_called(inner)


def read(documents):
    """documents: (index, line, value) of one file; yields (index, Facts by id or Bad)."""
    library = library_of(documents)
    for index, _, document in documents:
        document = mapped(document)
        if document.get("kind") not in KINDS or analyze_check_runtime.is_runtime(document):
            continue
        try:
            result = Walk(document, library).run()
        except Bad as reason:
            result = reason
        yield index, result
