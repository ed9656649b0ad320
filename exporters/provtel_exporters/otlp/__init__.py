"""The exporters ``otlp_http`` and ``otlp_grpc``: to another collector, or to any backend that takes OTLP.

Each also answers to the name that the OpenTelemetry Collector called it by before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from provtel_model.components import Factory

from provtel_exporters.otlp.config import OtlpGrpcConfig, OtlpHttpConfig
from provtel_exporters.otlp.grpc_exporter import OtlpGrpcExporter
from provtel_exporters.otlp.http_exporter import OtlpHttpExporter

otlp_http: Final = Factory("otlp_http", OtlpHttpConfig, OtlpHttpExporter)
otlphttp: Final = replace(otlp_http, type="otlphttp")
otlp_grpc: Final = Factory("otlp_grpc", OtlpGrpcConfig, OtlpGrpcExporter)
otlp: Final = replace(otlp_grpc, type="otlp")
