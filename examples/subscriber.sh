#!/bin/sh
# Prints each trigger as tab-separated values: ./subscriber.sh [ENDPOINT]
set -eu
edge watch --json --topic trigger. --endpoint "${1:-ipc:///tmp/edge-cam0.ipc}" 2>/dev/null |
    jq --raw-output --unbuffered '[.header.wall_time, .rule, .label, .score] | @tsv'
