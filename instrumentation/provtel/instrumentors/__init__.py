"""Instrumentors: no-code capture of what other libraries run, in threads, in other processes and as other programs.

Each is a module named after its library, with a `BaseInstrumentor` of OpenTelemetry that is found under
``opentelemetry_instrumentor``. By hand::

    from provtel.instrumentors.joblib import JoblibInstrumentor

    JoblibInstrumentor().instrument()

None imports its library: what is imported later is changed then, and `uninstrument` puts back what was there.
"""
