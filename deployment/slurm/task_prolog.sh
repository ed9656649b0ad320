#!/bin/bash
# Slurm's TaskProlog, as the job's user before each task: tells the task where to keep its journals and where to send. What
# it prints becomes the task's environment; what the user has set already stays as it is.
set -uo pipefail

settings=${PROVTEL_SLURM_SETTINGS:-/etc/provtel/slurm.env}
# shellcheck source=/dev/null
[ -r "$settings" ] && . "$settings"
state=${PROVTEL_SLURM_STATE:-/var/spool/provtel}/$(id --user)

if [ -n "${PROVTEL_SLURM_ENDPOINT:-}" ] && [ -z "${OTEL_EXPORTER_OTLP_ENDPOINT:-}${PROVTEL_ENDPOINT:-}" ]; then
    echo "export PROVTEL_ENDPOINT=$PROVTEL_SLURM_ENDPOINT"
    if [ -z "${PROVTEL_STORE:-}" ] && [ -w "$state" ]; then
        echo "export PROVTEL_STORE=$state/$SLURM_JOB_ID"
    fi
fi
exit 0
