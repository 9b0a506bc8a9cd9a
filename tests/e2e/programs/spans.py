"""Reads an OTLP request as OpenTelemetry's own definitions have it, and prints how many spans it holds."""

import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

request = json_format.Parse(sys.stdin.read(), trace_service_pb2.ExportTraceServiceRequest())
spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
assert all(span.name and span.kind == 2 and span.end_time_unix_nano >= span.start_time_unix_nano > 0 for span in spans)
print(len(spans))
