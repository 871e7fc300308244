# SPDX-License-Identifier: Apache-2.0
"""Where the values of Argo's texts come from.

A place is ("task", id, output), ("parameter", name), ("item", task or None, output or None), or ("value", text).
"""
import re

from analyze_check_common import as_text, list_length, listed, mapped, named

TAG = re.compile(r"\{\{(=?)(.*?)\}\}", re.S)
CALL = re.compile(r"(?:tasks|steps)\.([^.\[\]]+)\.")
SIMPLE = (
    ("output", re.compile(r"(?:tasks|steps)\.([^.]+)\.outputs\.(parameters|artifacts)\.(.+)")),
    ("result", re.compile(r"(?:tasks|steps)\.([^.]+)\.(?:outputs\.)?(\w+)$")),
    ("input", re.compile(r"inputs\.(parameters|artifacts)\.(.+)")),
    ("global", re.compile(r"workflow\.outputs\.(parameters|artifacts)\.(.+)")),
    ("parameter", re.compile(r"workflow\.parameters\.(.+)")),
    ("item", re.compile(r"item(?:$|[.\[])")),
)
NAME = r"""(?:\.([\w-]+)|\[\s*['"]([^'"]+)['"]\s*\])"""
EXPRESSION = tuple((kind, re.compile(r"(?<![\w.\]'\"-])" + pattern)) for kind, pattern in (
    ("output", r"(?:tasks|steps)" + NAME + r"\.outputs\.(parameters|artifacts)" + NAME),
    ("result", r"(?:tasks|steps)" + NAME + r"\.(?:outputs\.)?(?!outputs\b|parameters[.\[]|artifacts[.\[])(\w+)\b"),
    ("input", r"inputs\.(parameters|artifacts)" + NAME),
    ("global", r"workflow\.outputs\.(parameters|artifacts)" + NAME),
    ("parameter", r"workflow\.parameters" + NAME),
    ("item", r"item\b"),
))
EXPRESSION_CALL = re.compile(r"(?<![\w.\]'\"-])(?:tasks|steps)" + NAME + r"\.")
DEEPEST = 80


def in_expression(text):
    """(kind, names...) of every reference in an expression."""
    for kind, pattern in EXPRESSION:
        for match in pattern.finditer(text):
            yield (kind, *[g for g in match.groups() if g is not None])


def references(text):
    """(kind, names...) of every reference in a text with tags."""
    for is_expression, inside in TAG.findall(as_text(text)):
        if is_expression:
            yield from in_expression(inside)
            continue
        for kind, pattern in SIMPLE:
            match = pattern.match(inside.strip())
            if match:
                yield (kind, *match.groups())
                break


def calls_named(text):
    """The tasks or steps that a text with tags mentions in any way, their status included."""
    for is_expression, inside in TAG.findall(as_text(text)):
        if is_expression:
            for match in EXPRESSION_CALL.finditer(inside):
                yield match.group(1) or match.group(2)
        else:
            match = CALL.match(inside.strip())
            if match:
                yield match.group(1)


class Values:
    """Follows references through the scopes that a walk left; `arguments` are the workflow's own."""

    def __init__(self, arguments, writers):
        """writers: (kind, global name) to the places that may have written what the task asked for reads."""
        self.parameters = named(arguments.get("parameters"))
        self.writers = writers

    def parameter(self, name):
        value = self.parameters.get(name, {}).get("value", self.parameters.get(name, {}).get("default"))
        return None if value is None else as_text(value)

    # -- places ---------------------------------------------------------------------------------------------------

    def of_text(self, text, scope, kind="parameters", depth=0):
        return self.of_references(references(text), scope, kind, depth)

    def of_references(self, found, scope, kind, depth):
        places = set()
        if depth > DEEPEST or scope is None:
            return places
        for what, *names in found:
            if what == "output" and kind in (names[1], "parameters"):
                places |= self.output(scope, *names, depth + 1)
            elif what == "result" and kind == "parameters":
                places |= self.output(scope, names[0], "parameters", names[1], depth + 1)
            elif what == "input" and kind in (names[0], "parameters"):
                places |= self.input(scope, *names, depth + 1)
            elif what == "global":
                places |= self.writers(*names)
            elif what == "parameter":
                places.add(("parameter", names[0]))
            elif what == "item":
                places |= self.item(scope, depth + 1)
        return places

    def item(self, scope, depth):
        makers = {("item", p[1], p[2]) for p in self.list_places(scope.current, scope, depth)
                  if p[0] in ("task", "item") and p[1]}
        return makers or {("item", None, None)}

    def list_places(self, call, scope, depth=0):
        text = mapped(call).get("withParam")
        if mapped(call).get("withExpression") is not None:
            return self.of_references(in_expression(call["withExpression"]), scope, "parameters", depth)
        if text is None:
            text = " ".join(as_text(v) for v in mapped(mapped(call).get("withSequence")).values())
        return self.of_text(text, scope, "parameters", depth)

    def output(self, scope, name, kind, output, depth):
        place = scope.places.get(name)
        if place is None:
            return set()
        if isinstance(place, str):
            return {("task", place, output)}
        declared = named(mapped(place.template.get("outputs")).get(kind)).get(output)
        return self.declared(declared, kind, place, depth) if declared else set()

    def declared(self, declared, kind, scope, depth):
        """The places of an output that a dag or steps template declares."""
        source = mapped(declared.get("valueFrom"))
        expression = declared.get("fromExpression") or source.get("expression")
        if expression:
            return self.of_references(in_expression(expression), scope, kind, depth)
        text = declared.get("from") or source.get("parameter") or source.get("Parameter") or declared.get("value") or ""
        if kind == "artifacts" and text and "{{" not in text:
            text = "{{" + text + "}}"
        return self.of_text(text, scope, kind, depth)

    def given(self, scope, kind, name):
        return named(mapped(scope.call.get("arguments")).get(kind)).get(name)

    def input(self, scope, kind, name, depth=0):
        """The places of an input of the template in `scope`; one that it does not declare has none."""
        declared = named(mapped(scope.template.get("inputs")).get(kind))
        if depth > DEEPEST or (scope.template and name not in declared):
            return set()
        outer = scope.outer
        if outer is None and kind == "parameters" and name in self.parameters and scope.call is None:
            return {("parameter", name)}
        given = self.given(scope, kind, name) if scope.call is not None else None
        own = declared.get(name, {})
        if given is None or not self.text_of(given, kind):
            return self.of_given(own, kind, scope.detached(), depth) | self.value_place(own, given)
        view = outer.looking_from(scope.call) if outer is not None else scope.detached(scope.call)
        return self.of_given(given, kind, view, depth) | self.value_place(given, None)

    @staticmethod
    def value_place(entry, given):
        text = (given or {}).get("value", entry.get("value", entry.get("default")))
        return {("value", as_text(text))} if text is not None and "{{" not in as_text(text) else set()

    @staticmethod
    def text_of(entry, kind):
        if kind == "artifacts":
            return any(k not in ("name", "optional", "path", "subPath") for k in entry)
        return "value" in entry or "valueFrom" in entry

    def of_given(self, entry, kind, scope, depth):
        expression = entry.get("fromExpression") or mapped(entry.get("valueFrom")).get("expression")
        if expression:
            return self.of_references(in_expression(expression), scope, kind, depth)
        if kind == "parameters":
            return self.of_text(entry.get("value", entry.get("default")), scope, kind, depth)
        text = entry.get("from")
        if text:
            return self.of_text(text if "{{" in text else "{{" + text + "}}", scope, kind, depth)
        return self.of_text(mapped(entry.get("raw")).get("data"), scope, "parameters", depth)

    # -- texts ----------------------------------------------------------------------------------------------------

    def fill(self, text, scope, depth=0):
        """The text with what is known filled in; the rest of its tags stay."""
        def replace(match):
            if match.group(1) or depth > DEEPEST:
                return match.group(0)
            inside = match.group(2).strip()
            value = None
            if inside.startswith("workflow.parameters."):
                value = self.parameter(inside[len("workflow.parameters."):])
            elif inside.startswith("inputs.parameters."):
                value = self.known_input(scope, inside[len("inputs.parameters."):], depth + 1)
            return match.group(0) if value is None else value
        return TAG.sub(replace, as_text(text))

    def known_input(self, scope, name, depth):
        """The text of an input parameter where it is known before the run, else None."""
        if name not in named(mapped(scope.template.get("inputs")).get("parameters")):
            return None
        if scope.call is None and name in self.parameters:
            return self.parameter(name)
        given = self.given(scope, "parameters", name) if scope.call is not None else None
        own = named(mapped(scope.template.get("inputs")).get("parameters")).get(name) or {}
        view = scope.outer if given is not None and "value" in given else scope.detached()
        source = given if given is not None and "value" in given else own
        text = source.get("value", source.get("default"))
        if text is None:
            return None
        text = self.fill(text, view or scope.detached(), depth)
        return None if "{{" in text else text

    # -- loops ----------------------------------------------------------------------------------------------------

    def loop(self, call, scope):
        """(items or None, producers) of a call that loops."""
        makers = {(p[1], p[2]) for p in self.list_places(call, scope) if p[0] in ("task", "item") and p[1]}
        if call.get("withItems") is not None:
            items = call["withItems"]
            return (len(items) if isinstance(items, list) else None), makers
        if call.get("withParam") is not None:
            return list_length(self.fill(call["withParam"], scope)), makers
        if call.get("withExpression") is not None:
            return None, makers
        return self.sequence(call["withSequence"], scope), makers

    def sequence(self, sequence, scope):
        known = {k: self.fill(v, scope) for k, v in sequence.items() if k in ("start", "end", "count")}
        if not all(re.fullmatch(r"-?\d+", v) for v in known.values()):
            return None
        number = {k: int(v) for k, v in known.items()}
        if "count" in number:
            return max(number["count"], 0)
        return abs(number.get("end", 0) - number.get("start", 0)) + 1
