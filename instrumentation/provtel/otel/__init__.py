"""OpenTelemetry's tracing, kept in the journal: the spans of any library, beside our tasks and in one trace with them.

`provtel.otel.provider.TracerProvider` is the provider; the distro and the configurator install it for
``opentelemetry-instrument``. Nothing here is loaded by ``import provtel``, and nothing loads the OpenTelemetry SDK
unless something of it is used.
"""
