"""The HTTP contract as the system hands it out, and answers held against it.

    contract = Contract(stack)
    contract.check("get", "/api/sync/status/{id}", answer)
"""

import math
import re

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float))
        and not isinstance(v, bool) and math.isfinite(v),
}


class Contract:
    def __init__(self, stack):
        answer = stack.api("GET", "/api/openapi.json")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("application/json")
        self.text = answer.json()

    def routes(self):
        """All (method, path) there are."""
        return {(method, path) for path, methods in self.text["paths"].items()
            for method in methods}

    def follow(self, schema):
        while "$ref" in schema:
            found = self.text
            for name in schema["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            schema = found
        return schema

    def wrong(self, schema, value, where="answer"):
        """What is wrong with a value, as a list of sentences.  An object has
        no members but those of its schema."""
        schema = self.follow(schema)
        if "anyOf" in schema:
            tries = [self.wrong(s, value, where) for s in schema["anyOf"]]
            return [] if [] in tries else min(tries, key=len)
        if "const" in schema and value is not schema["const"] \
                and value != schema["const"]:
            return [f"{where}: {value!r} is not {schema['const']!r}"]
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if types and not any(TYPES[t](value) for t in types):
            return [f"{where}: {value!r} is no {types}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: {value!r} is not in {schema['enum']}"]
        if value is None:
            return []
        if schema.get("format") == "date-time" and not TIME.fullmatch(value):
            return [f"{where}: {value!r} is not a time in milliseconds"]
        found = []
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not schema.get("minimum", value) <= value \
                    <= schema.get("maximum", value):
                found.append(f"{where}: {value!r} is out of bounds")
        if isinstance(value, list) and "items" in schema:
            for i, item in enumerate(value):
                found += self.wrong(schema["items"], item, f"{where}[{i}]")
        if isinstance(value, dict) and not schema.get("additionalProperties"):
            known = schema.get("properties", {})
            for name in schema.get("required", []):
                if name not in value:
                    found.append(f"{where} has no {name}")
            for name, member in value.items():
                if name not in known:
                    found.append(f"{where}.{name} is not in the contract")
                else:
                    found += self.wrong(
                        known[name], member, f"{where}.{name}")
        return found

    def check(self, method, path, answer):
        """Asserts that an answer is one of those the route may give; returns
        its body."""
        operation = self.text["paths"][path][method]
        said = operation["responses"].get(str(answer.status_code))
        if said is None:
            assert answer.status_code >= 400, answer.text
            said = operation["responses"]["default"]
        said = self.follow(said)
        assert answer.headers["X-Request-Id"]
        if "content" not in said:
            assert answer.content == b""
            return None
        kind = answer.headers["Content-Type"]
        assert kind.lower().replace(" ", "") == "application/json;charset=utf-8"
        body = answer.json()
        wrong = self.wrong(said["content"]["application/json"]["schema"], body)
        assert not wrong, (method, path, wrong, answer.text)
        if answer.status_code >= 400:
            assert body["requestId"] == answer.headers["X-Request-Id"]
            assert is_sentence(body["message"]), body
        return body


def is_sentence(text):
    return bool(re.fullmatch(r"[A-Z][^\n]* [^\n]*[.!?]", text))
