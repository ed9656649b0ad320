"""The names of all attributes, events and scopes; `attributes.yaml` says what each means, a test keeps both equal."""

from __future__ import annotations

from typing import Final

SCOPE_NAME: Final = "provtel"
"""Instrumentation scope of the spans that provtel captured itself."""

# Activity: what it is, and the run it belongs to
PROV_ACTIVITY_TYPE: Final = "prov.activity.type"
PROV_ACTIVITY_STATE: Final = "prov.activity.state"
PROV_ACTIVITY_NAME: Final = "prov.activity.name"
PROV_ACTIVITY_PARENT_ID: Final = "prov.activity.parent_id"
PROV_ACTIVITY_START_TIME: Final = "prov.activity.start_time"
PROV_ACTIVITY_LINKS: Final = "prov.activity.links"
WORKFLOW_ID: Final = "workflow.id"
WORKFLOW_NAME: Final = "workflow.name"
WORKFLOW_CAMPAIGN_ID: Final = "workflow.campaign.id"
WORKFLOW_TASK_ID: Final = "workflow.task.id"
WORKFLOW_TASK_ATTEMPT: Final = "workflow.task.attempt"
WORKFLOW_TASK_TAGS: Final = "workflow.task.tags"
WORKFLOW_TASK_SUBTYPE: Final = "workflow.task.subtype"
WORKFLOW_TASK_GROUP_ID: Final = "workflow.task.group.id"

# Data
PROV_USED: Final = "prov.used"
PROV_GENERATED: Final = "prov.generated"
PROV_RELATION: Final = "prov.relation"
PROV_ROLE: Final = "prov.role"
PROV_SOURCE_ROLE: Final = "prov.source.role"

# Plan and agent
PROV_PLAN_HASH: Final = "prov.plan.hash"
CODE_FUNCTION_NAME: Final = "code.function.name"
CODE_FILE_PATH: Final = "code.file.path"
CODE_LINE_NUMBER: Final = "code.line.number"
CODE_FUNCTION: Final = "code.function"
CODE_FILEPATH: Final = "code.filepath"
CODE_LINENO: Final = "code.lineno"
PROV_AGENT_ID: Final = "prov.agent.id"
PROV_AGENT_NAME: Final = "prov.agent.name"
PROV_AGENT_TYPE: Final = "prov.agent.type"
PROV_AGENT_ACTED_ON_BEHALF_OF: Final = "prov.agent.acted_on_behalf_of"

# Cost
TASK_PREFIX: Final = "task."
TASK_CPU_USER: Final = "task.cpu.user"
TASK_CPU_SYSTEM: Final = "task.cpu.system"
TASK_CPU_SCOPE: Final = "task.cpu.scope"
TASK_QUEUE_WAIT: Final = "task.queue.wait"
TASK_MEMORY_RSS: Final = "task.memory.rss"
TASK_MEMORY_RSS_PEAK: Final = "task.memory.rss.peak"
TASK_MEMORY_SCOPE: Final = "task.memory.scope"
TASK_IO_READ: Final = "task.io.read"
TASK_IO_WRITE: Final = "task.io.write"
TASK_CONTEXT_SWITCHES: Final = "task.context_switches"
TASK_CHILDREN_CPU_USER: Final = "task.children.cpu.user"
TASK_CHILDREN_CPU_SYSTEM: Final = "task.children.cpu.system"
TASK_CHILDREN_IO_READ: Final = "task.children.io.read"
TASK_CHILDREN_IO_WRITE: Final = "task.children.io.write"

# Errors
ERROR_TYPE: Final = "error.type"
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
EXCEPTION_ESCAPED: Final = "exception.escaped"

# Resource
HOST_NAME: Final = "host.name"
PROCESS_PID: Final = "process.pid"
PROCESS_CREATION_TIME: Final = "process.creation.time"
PROCESS_EXECUTABLE_NAME: Final = "process.executable.name"
PROCESS_RUNTIME_NAME: Final = "process.runtime.name"
PROCESS_RUNTIME_VERSION: Final = "process.runtime.version"
PROCESS_OWNER: Final = "process.owner"
PROCESS_COMMAND_ARGS: Final = "process.command_args"
PROCESS_WORKING_DIRECTORY: Final = "process.working_directory"
LOG_FILE_NAME: Final = "log.file.name"
LOG_FILE_PATH: Final = "log.file.path"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
TELEMETRY_SDK_NAME: Final = "telemetry.sdk.name"
TELEMETRY_SDK_LANGUAGE: Final = "telemetry.sdk.language"
TELEMETRY_SDK_VERSION: Final = "telemetry.sdk.version"
MPI_RANK: Final = "mpi.rank"
VCS_REF_HEAD_REVISION: Final = "vcs.ref.head.revision"
VCS_REF_HEAD_NAME: Final = "vcs.ref.head.name"
VCS_REPOSITORY_URL_FULL: Final = "vcs.repository.url.full"
PROVTEL_VCS_MODIFIED: Final = "provtel.vcs.modified"
PROVTEL_SETTINGS: Final = "provtel.settings"

# What was imported from OpenLineage
OPENLINEAGE_RUN_ID: Final = "openlineage.run.id"
OPENLINEAGE_JOB_NAMESPACE: Final = "openlineage.job.namespace"
OPENLINEAGE_PRODUCER: Final = "openlineage.producer"
OPENLINEAGE_RUN_FACETS: Final = "openlineage.run.facets"
OPENLINEAGE_JOB_FACETS: Final = "openlineage.job.facets"

# Events of activities that have not ended, sent as OTLP log records
EVENT_STARTED: Final = "prov.activity.started"
EVENT_HEARTBEAT: Final = "prov.activity.heartbeat"
EVENT_LOST: Final = "prov.activity.lost"
EVENT_KEPT_RECORD: Final = "provtel.kept.record"
EVENT_KEPT_POINT: Final = "provtel.kept.point"
EVENT_KEPT_LOG: Final = "provtel.kept.log"
