#!/bin/bash
# Slurm's Prolog, as root on each node of a job: makes the folder in which the job's user keeps journals on this node.
# A Prolog that fails drains the node, so this one never does.
set -uo pipefail

settings=${PROVTEL_SLURM_SETTINGS:-/etc/provtel/slurm.env}
# shellcheck source=/dev/null
[ -r "$settings" ] && . "$settings"
state=${PROVTEL_SLURM_STATE:-/var/spool/provtel}/$SLURM_JOB_UID

if ! install --directory --owner="$SLURM_JOB_UID" --mode=0700 "$state"; then
    logger --tag provtel-prolog "job $SLURM_JOB_ID: $state cannot be made"
fi
exit 0
