#!/usr/bin/env bash
# The fast unit tests, in two processes. Each has folders of its own, not every second test of all: what takes longest is
# importing libraries, and models, forecasts and detectors need many that the rest does not. The lake's tests each make tables,
# or have dbt build on some: slow as a whole.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."
logs=.build/log
mkdir -p $logs
options=(-q -m 'not slow' --hypothesis-profile=fast)
theirs=(ingestion lakehouse millrace orchestration)

.venv/bin/pytest "${theirs[@]/#/tests/unit/}" --ignore=tests/unit/lakehouse "${options[@]}" > $logs/unit-2.log 2>&1 &
beside=$!
trap 'kill $beside 2> /dev/null; exit 1' INT TERM
.venv/bin/pytest tests/unit "${theirs[@]/#/--ignore=tests/unit/}" "${options[@]}"
code=$?
wait $beside
code=$((code || $?))
cat $logs/unit-2.log
exit $code
