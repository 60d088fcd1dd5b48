#!/usr/bin/env bash
# Everything at once, as two cores allow: the kernel's and the unit tests run beside the checks and the integration tests, at
# low priority. What fails early stops the rest. Their output is shown when they fail, the unit tests' always, at the end.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.."
logs=.build/log
JAVA_HOME=$(scripts/java_home.sh) || exit
export JAVA_HOME
beside=()
trap '((${#beside[@]})) && kill "${beside[@]}" 2> /dev/null; exit 1' INT TERM
give_up() { kill "${beside[@]}" 2> /dev/null; wait; exit 1; }

echo "the kernel's build and tests run beside the checks; they speak up when they fail"
mvn -q -B -f processing/kernel verify > $logs/kernel.log 2>&1 &
kernel=$! beside=($!)
echo "unit tests run beside all else, at low priority; their results come last"
nice -n 19 .venv/bin/pytest tests/unit -q --cov --cov-report=term > $logs/unit.log 2>&1 &
unit=$! beside+=($!)

make --no-print-directory lint || give_up
wait $kernel || { cat $logs/kernel.log; give_up; }
.venv/bin/pytest tests/integration -m "not long" --durations=25
integration=$?
wait $unit
unit=$?
cat $logs/unit.log
exit $((integration || unit))
