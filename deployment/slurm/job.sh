#!/bin/bash
#SBATCH --job-name=provtel
#SBATCH --ntasks=2
#SBATCH --time=00:10:00
# A job that brings its own collector, on clusters where nobody runs one: sbatch job.sh python my_workflow.py
# What the tasks of all nodes record is in run-<job>/records.jsonl in the end, a line a request.
set -euo pipefail

export PROVTEL_JOB_FOLDER=$SLURM_SUBMIT_DIR/run-$SLURM_JOB_ID
mkdir -p "$PROVTEL_JOB_FOLDER"
log=$PROVTEL_JOB_FOLDER/collector.log

# Port 0 is any free one; the log says which.
PROVTEL_COLLECTOR_ENDPOINT=$(hostname -s):0 provtel collector --config "${PROVTEL_JOB_CONFIG:-job.yaml}" >"$log" 2>&1 &
collector=$!
trap 'kill "$collector"; wait "$collector"' EXIT
until address=$(grep --only-matching --max-count=1 'otlp on http://[^ ,]*' "$log"); do
    kill -0 "$collector"
    sleep 0.2
done

export OTEL_EXPORTER_OTLP_ENDPOINT=${address#otlp on }
export PROVTEL_STORE=$PROVTEL_JOB_FOLDER/.provtel
provtel run --name "$SLURM_JOB_NAME" -- srun "$@"
