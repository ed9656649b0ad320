"""The collector: receivers, delivery, extensions, the pipeline graph and the life of the service."""
