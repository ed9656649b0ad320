"""The collector beside the OpenTelemetry Collector: the same files, the same load, one after the other."""
