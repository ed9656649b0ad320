#!/bin/bash
# Slurm's Epilog, as root on each node of a job, after its last process: sends what the job's processes could not send
# themselves, for example because they were killed; also what earlier jobs of the same user left while the collector was
# away. An Epilog that fails drains the node, so this one never does.
set -uo pipefail

settings=${PROVTEL_SLURM_SETTINGS:-/etc/provtel/slurm.env}
# shellcheck source=/dev/null
[ -r "$settings" ] && . "$settings"
state=${PROVTEL_SLURM_STATE:-/var/spool/provtel}/$SLURM_JOB_UID
seconds=${PROVTEL_SLURM_EPILOG_SECONDS:-60}
provtel=${PROVTEL_SLURM_COMMAND:-/usr/local/bin/provtel}

# As the user, who owns the folder and could have put anything there.
as_user() {
    setpriv --reuid="$SLURM_JOB_UID" --regid="$(id --group "$SLURM_JOB_UID")" --clear-groups \
        env --ignore-environment HOME=/ PATH=/usr/bin:/bin timeout "$seconds" "$@"
}

for store in "$state"/*/; do
    [ -d "$store" ] || continue
    if said=$(as_user "$provtel" ship --store "$store" 2>&1); then
        as_user rm --recursive --force -- "$store"
    else
        logger --tag provtel-epilog "job $SLURM_JOB_ID: what $store holds stays there: $said"
    fi
done
exit 0
