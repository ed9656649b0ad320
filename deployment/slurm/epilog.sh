#!/bin/bash
# Slurm's Epilog, as root on each node of a job, after its last process: sends what the job's processes could not send
# themselves, for example because they were killed; also what earlier jobs of the same user left while the collector was
# away. An Epilog that fails drains the node, so this one never does.
set -uo pipefail

settings=${PROVTEL_SLURM_SETTINGS:-/etc/provtel/slurm.env}
# shellcheck source=/dev/null
[ -r "$settings" ] && . "$settings"
state=${PROVTEL_SLURM_STATE:-/var/spool/provtel}/$SLURM_JOB_UID
provtel=${PROVTEL_SLURM_COMMAND:-/usr/local/bin/provtel}
deadline=$((SECONDS + ${PROVTEL_SLURM_EPILOG_SECONDS:-30}))

# As the user, who owns the folder and could have put anything there.
as_user() {
    setpriv --reuid="$SLURM_JOB_UID" --regid="$(id --group "$SLURM_JOB_UID")" --clear-groups \
        env --ignore-environment HOME=/ PATH=/usr/bin:/bin timeout 60 "$@"
}

# Journals that were sent are gone; those of processes that run, of another job for example, stay as they are.
send() {
    said=$(as_user "$provtel" ship --store "$1" 2>&1)
}

# What only marks that something was recorded waits for nobody.
holds_files() {
    [ -n "$(as_user find "$1" -type f -not -path '*/once/*' -print -quit)" ]
}

own=$state/$SLURM_JOB_ID
if [ -d "$own" ]; then
    # A process that was killed may take a moment to be gone.
    until send "$own" && ! holds_files "$own"; do
        if [ "$SECONDS" -ge "$deadline" ]; then
            logger --tag provtel-epilog "job $SLURM_JOB_ID: what $own holds stays there: $said"
            exit 0
        fi
        sleep 1
    done
    as_user rm --recursive --force -- "$own"
fi

# Only where its own was taken, and so somebody is there to take them.
for other in "$state"/*/; do
    [ -d "$other" ] && send "$other" && ! holds_files "$other" && as_user rm --recursive --force -- "$other/once"
done
as_user find "$state" -mindepth 1 -type d -empty -mmin +1 -delete
exit 0
