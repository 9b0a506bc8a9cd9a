"""Holds what `nexus audit export` gave against the published forms: exported.py FORMAT SCHEMA < export; says how many events there were."""

import csv
import importlib
import io
import json
import sys

from jsonschema import Draft202012Validator
from opentelemetry.proto.logs.v1 import logs_pb2


def ocsf(text, schema):
    with open(schema, encoding="utf-8") as file:
        validator = Draft202012Validator(json.load(file))
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        wrong = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(event)]
        assert not wrong, (wrong, event)
    # A validator that takes everything proves nothing.
    assert events and list(validator.iter_errors({**events[0], "activity_id": 12})), "the schema has no bite"
    return events


def otlp(text, _schema):
    parse = importlib.import_module("google.protobuf.json_format").Parse
    events = []
    for line in text.splitlines():
        data = parse(line, logs_pb2.LogsData())
        for resource in data.resource_logs:
            assert any(word.key == "service.name" for word in resource.resource.attributes)
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    words = {word.key: word.value for word in record.attributes}
                    assert record.time_unix_nano > 1_700_000_000 * 10**9 and len(words) == len(record.attributes), record
                    events.append({"event": record.event_name, "host": words["server.address"].string_value if "server.address" in words else ""})
    return events


def rows(text, _schema):
    events = list(csv.DictReader(io.StringIO(text, newline="")))
    assert all(None not in event and None not in event.values() for event in events), events
    return events


kind, schema = sys.argv[1:]
found = {"ocsf": ocsf, "otlp": otlp, "csv": rows}[kind](io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline="").read(), schema)
json.dump(found, sys.stdout)
