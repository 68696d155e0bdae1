"""Compares our Jinja with Python's (Debian: python3-jinja2).

  check_jinja.py TOOL [--count N] [--seed S] [--golden FILE]

TOOL is the built sambay_jinja_tool. Renders with both: the templates of tests/text/data on random
conversations, random expressions and random nests of blocks. --golden writes a few hundred of
Python's answers as test data. Exit code 1 if one differs; where Python renders and we refuse by
name, it is counted, not a difference.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import time

import jinja2
import jinja2.ext
import jinja2.sandbox

DATA = pathlib.Path(__file__).resolve().parent.parent / "text/data"
NOW = 1_700_000_000


class Generation(jinja2.ext.Extension):
    """{% generation %} marks what a model says, and prints its body."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    """As apply_chat_template of Hugging Face's transformers sets it up."""
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda text: time.strftime(text, time.localtime(NOW))
    return made


ENVIRONMENT = environment()


def reference(case):
    """Text, or None where Python raises."""
    try:
        return ENVIRONMENT.from_string(case["template"]).render(**case["variables"])
    except Exception:  # whatever a template can provoke
        return None


TEXTS = ["", " ", "a", "Hello", "  two words \n", "stop", "été ß", "日本語", "x</think>\n\ny", "<think>\nhm\n</think>\nYes",
         "it's", 'say "hi"', "a\\b", "1", "-12", "3.5", "line one\nline two\n\nline four", "ΑΣ ΣΑ", "a,b,,c", "\u00a0\u2028z",
         "<|end|>", "&<>'\"", "{{ x }}", "😀", "\t\r\n", "MiXed CASE-word (par) [br]", "\x00\x1f\x7f\u200b"]


class Random:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def chance(self, p):
        return self.rng.random() < p

    def text(self):
        return self.rng.choice(TEXTS)

    def json(self, depth=0):
        kind = self.rng.randrange(9 if depth < 3 else 7)
        if kind < 3:
            return self.text()
        if kind < 7:
            return [self.rng.randrange(-20, 20), self.rng.choice([0.5, -1.25, 1e20, 1e-7, 2.0]), self.chance(0.5), None][kind - 3]
        if kind == 7:
            return [self.json(depth + 1) for _ in range(self.rng.randrange(4))]
        return {self.rng.choice("role content type a b items".split()): self.json(depth + 1) for _ in range(self.rng.randrange(4))}

    def message(self):
        message = {"role": self.rng.choice(["user", "assistant", "system", "tool", "developer"]), "content": self.text()}
        if self.chance(0.1):
            message["content"] = self.rng.choice([None, [{"type": "text", "text": self.text()}, {"type": "image"}, {"type": "stop"}]])
        if self.chance(0.1):
            message["tool_calls"] = [{"function": {"name": "f", "arguments": self.json(2)}}, {"name": "g", "arguments": "{}"}]
        if self.chance(0.1):
            message["reasoning_content"] = self.text()
        if self.chance(0.1):
            message["tools"] = json.dumps(self.json())
        return message

    def conversation(self):
        variables = {"messages": [self.message() for _ in range(self.rng.randrange(1, 6))],
                     "add_generation_prompt": self.chance(0.5), "bos_token": "<s>", "eos_token": "</s>"}
        if self.chance(0.5):
            roles = ["user", "assistant"] * 3
            variables["messages"] = [{"role": r, "content": self.text()} for r in roles[:self.rng.randrange(1, 7)]]
        if self.chance(0.3):
            variables["enable_thinking"] = self.chance(0.5)
        variables["tools"] = [self.tool() for _ in range(self.rng.randrange(3))] if self.chance(0.5) else None
        return variables

    def tool(self):
        properties = {name: {"type": self.rng.choice(["string", "integer", "array", ["string", "null"]]), "items": {"type": "number"},
                             "description": self.text()} for name in self.rng.sample("Beta alpha Gamma delta".split(), 2)}
        properties["pick"] = {"enum": ["x", 1, None]}
        return {"type": "function", "function": {"name": "lookUp", "description": self.text(),
                                                 "parameters": {"type": "object", "properties": properties, "required": ["alpha"]}}}

    # Expressions.
    def literal(self):
        kind = self.rng.randrange(10)
        if kind < 4:
            text = self.text()
            return json.dumps(text, ensure_ascii=self.chance(0.3)).replace("\\/", "/") if "\\ud" not in json.dumps(text) else "'q'"
        return [str(self.rng.randrange(0, 12)), self.rng.choice(["0.5", "2.0", "1e3", "12.25", "1_000"]), "none", "true", "false",
                self.rng.choice(["[]", "{}", "()", "(1,)", "[1, 'a', none]", "{'a': 1, 2: [3]}"])][kind - 4]

    def expression(self, depth=0):
        rng = self.rng
        if depth > 3 or self.chance(0.2):
            return rng.choice(["x", "y", "z", "s", "n", "d", "l", "missing", "d.a", "l[0]", "d['items']", "messages"]) if self.chance(0.6) else self.literal()
        e = lambda: self.expression(depth + 1)
        kind = rng.randrange(13)
        if kind == 0:
            return f"({e()} {rng.choice(['+', '-', '*', '/', '//', '%', '~'])} {e()})"
        if kind == 1:
            return f"({e()} {rng.choice(['==', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'and', 'or'])} {e()})"
        if kind == 2:
            return f"({rng.choice(['not ', '-', '+', ''])}{e()})"
        if kind == 3:
            return f"({e()} if {e()} else {e()})" if self.chance(0.7) else f"({e()} if {e()})"
        if kind == 4:
            return f"[{', '.join(e() for _ in range(rng.randrange(4)))}]" if self.chance(0.6) else f"{{'k': {e()}, 'role': {e()}}}"
        if kind == 5:
            return f"{e()}[{rng.choice(['0', '-1', '7', '1:', ':-1', '::-1', '::2', ':2', '-3:-1', repr('a'), 'n'])}]"
        if kind == 6:
            return f"({e()}).{self.method()}"
        if kind in (7, 8, 9):
            return f"({e()}) | {self.filter()}"
        if kind == 10:
            return f"({e()} is {rng.choice(['', 'not '])}{self.test()})"
        if kind == 11:
            return f"({e()} ** {rng.choice(['0', '1', '2', '3', '-1', '0.5'])})" if self.chance(0.3) else f"range({rng.randrange(5)}) | list"
        return f"dict(a={e()}, b={e()})" if self.chance(0.5) else f"({e()} < {e()} <= {e()})"

    def method(self):
        return self.rng.choice([
            "upper()", "lower()", "title()", "capitalize()", "strip()", "lstrip()", "rstrip()", "strip('a \\n')", "split()", "split(',')",
            "split('a', 1)", "rsplit(' ', 1)", "splitlines()", "splitlines(true)", "startswith('a')", "endswith(('o', 'd'))", "replace('a', 'bb')", "replace('', '-', 2)",
            "items() | list", "keys() | list", "values() | list", "get('a')", "get('zz', 5)", "count('l')", "find('o')", "index(1)", "join(['p', 'q'])",
            "removeprefix('a')", "isspace()", "items()", "keys()"])

    def filter(self):
        return self.rng.choice([
            "trim", "trim('a')", "length", "count", "join", "join(', ')", "upper", "lower", "title", "capitalize", "replace('a', 'b')",
            "replace('l', '', 1)", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)", "tojson(sort_keys=true)", "tojson(separators=(',', ':'))",
            "default('D')", "d(1, true)", "first", "last", "list", "map('string') | list", "map('upper') | join", "map(attribute='role') | list",
            "map(attribute='role', default='R') | list", "select | list", "select('string') | list", "reject('none') | list",
            "selectattr('role') | list", "selectattr('role', 'equalto', 'user') | list", "rejectattr('content', 'none') | list", "items | list", "dictsort",
            "dictsort(by='value')", "dictsort(reverse=true)", "string", "int", "int(7)", "float", "sort", "sort(reverse=true)",
            "sort(attribute='role')", "sort(case_sensitive=true)", "reverse | list", "reverse", "unique | list", "indent", "indent(2, true)", "indent('>', blank=true)",
            "abs", "round", "round(1)", "round(method='floor')", "sum", "sum(start=2)", "min", "max", "safe", "escape", "string | length"])

    def test(self):
        return self.rng.choice(["defined", "undefined", "none", "string", "mapping", "sequence", "iterable", "number", "integer", "float",
                                "boolean", "true", "false", "odd", "even", "divisibleby(3)", "eq(1)", "ne 2", "lt 3", "ge(0)", "in ['a', 1]", "lower", "upper",
                                "equalto 'a'", "sameas none", "callable"])

    def variables(self):
        return {"x": self.json(), "y": self.json(), "z": self.json(), "s": self.text(), "n": self.rng.randrange(-3, 9),
                "d": {"a": self.json(1), "items": self.json(2), "b": self.text()}, "l": [self.json(1) for _ in range(self.rng.randrange(4))],
                "messages": [self.message() for _ in range(self.rng.randrange(1, 4))]}

    # Blocks and the white space around them.
    def plain(self):
        """An expression that seldom fails, so that whole templates come to their end."""
        return self.expression(3) if self.chance(0.05) else self.rng.choice(
            ["s", "n", "x", "v", "missing", "'q'", "s ~ n", "s | upper", "n + 1", "l | length", "x is none", "s | length > 2", "loop is defined", "d.a", "l",
             "messages[0].role", "n if n > 2 else s", "v is defined and v", "not n", "n in [1, 2, 3]", "s | trim | tojson", "loop.first", "d.items() | length"])

    def tag(self, inside):
        left, right = self.rng.choice(["", "", "-", "+"]), self.rng.choice(["", "", "-", "+"])
        return f"{{%{left} {inside} {right}%}}"

    def data(self):
        return "".join(self.rng.choices([" ", "\n", "  ", "a", "b\n", "\t", "\r\n", ".", "{ ", "\u00a0", "% "], k=self.rng.randrange(5)))

    def blocks(self, depth=0):
        out = self.data()
        for _ in range(self.rng.randrange(1, 4)):
            out += self.block(depth) + self.data()
        return out

    def block(self, depth):
        rng = self.rng
        kind = rng.randrange(11 if depth < 3 else 4)
        body = lambda: self.blocks(depth + 1)
        if kind < 2:
            left, right = rng.choice(["", "-", ""]), rng.choice(["", "-", ""])
            return f"{{{{{left} {self.plain()} {right}}}}}"
        if kind == 2:
            return self.tag(f"set {rng.choice(['v', 'w'])} = {self.plain()}")
        if kind == 3:
            return rng.choice(["{#- c -#}", "{# c\n #}\n", "  {#+ c +#}", "{# - #}"])
        if kind < 6:
            return (self.tag(f"if {self.plain()}") + body() + (self.tag(f"elif {self.plain()}") + body() if self.chance(0.3) else "") +
                    (self.tag("else") + body() if self.chance(0.5) else "") + self.tag("endif"))
        if kind < 8:
            test = f" if {self.plain()}" if self.chance(0.3) else ""
            leave = self.tag(f"if {self.plain()}") + self.tag(rng.choice(["break", "continue"])) + self.tag("endif") if self.chance(0.4) else ""
            return (self.tag(f"for v in {rng.choice(['l', 'messages', 'd', 's', 'range(3)', self.plain()])}{test}") + body() + leave +
                    rng.choice(["", "{{ loop.index }}", "{{ loop.last }}", "{{ loop.length }}", "{{ loop.nextitem }}", "{{ loop.previtem is defined }}"]) + body() +
                    (self.tag("else") + body() if self.chance(0.3) else "") + self.tag("endfor"))
        if kind == 8:
            return self.tag(f"set v{rng.choice(['', ' | upper', ' | trim'])}") + body() + self.tag("endset") + "{{ v }}"
        if kind == 9:
            return self.tag("macro m(p, q='Q')") + "{{ p }}{{ q }}" + body() + self.tag("endmacro") + "{{ m(" + rng.choice(["1", "q=2", "s, n", "", "1, 2, 3"]) + ") }}"
        return rng.choice([self.tag("raw") + "{{ r }} {% s %}\n" + self.tag("endraw"), self.tag("generation") + body() + self.tag("endgeneration"),
                           self.tag("filter upper") + body() + self.tag("endfilter"), self.tag("with w = 1, u = 2") + "{{ w }}{{ u }}" + body() + self.tag("endwith")])


def cases(count, seed):
    templates = [p.read_text(encoding="utf-8") for p in sorted((DATA / "templates").glob("*.jinja"))]
    made = Random(seed)
    for i in range(count):
        yield {"kind": "conversations", "template": templates[i % len(templates)], "variables": made.conversation()}
    for _ in range(4 * count):
        yield {"kind": "expressions", "template": "{{ " + made.expression() + " }}", "variables": made.variables()}
    for _ in range(2 * count):
        yield {"kind": "blocks", "template": made.blocks(), "variables": made.variables()}


# What only our side refuses, by name.
REFUSED = re.compile(r"not supported|beyond 64 bits|beyond a float|nothing to print|marked safe|as a key|texts are joined|no number that a float|has no slices")
# What only Python can print: places in memory.
UNPRINTABLE = re.compile(r"<(generator|built-in|bound|function|Macro|reversed|list_reverse|dict_|jinja2|class|method)|object at 0x|range\(")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--golden")
    args = parser.parse_args()
    made = list(cases(args.count, args.seed))
    lines = "\n".join(json.dumps({"template": c["template"], "variables": c["variables"]}) for c in made)
    done = subprocess.run([args.tool], input=lines, capture_output=True, text=True, check=True)
    ours = [json.loads(line) for line in done.stdout.split("\n") if line]
    wrong, golden, counts = 0, [], {}
    for case, our in zip(made, ours, strict=True):
        theirs = reference(case)
        tally = counts.setdefault(case["kind"], {"equal": 0, "both fail": 0, "refused": 0, "different": 0})
        if theirs is None and "error" in our:
            tally["both fail"] += 1
        elif theirs is not None and our.get("text") == theirs:
            tally["equal"] += 1
            golden.append({"template": case["template"], "variables": case["variables"], "text": theirs})
        elif "error" in our and (REFUSED.search(our["error"]) or UNPRINTABLE.search(theirs)):
            tally["refused"] += 1
        else:
            tally["different"] += 1
            wrong += 1
            if wrong <= 5:
                print(f"template: {case['template']!r}\nvariables: {json.dumps(case['variables'])}\n  Python: {theirs!r}\n  ours:   {our!r}")
    for kind, tally in counts.items():
        print(f"{kind}: " + ", ".join(f"{n} {what}" for what, n in tally.items()))
    if args.golden:
        rng = random.Random(2)
        with open(args.golden, "w", encoding="utf-8") as file:
            short = [g for g in golden if len(json.dumps(g)) < 700]
            for case in rng.sample(short, min(len(short), 250)):
                file.write(json.dumps(case, ensure_ascii=False) + "\n")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
