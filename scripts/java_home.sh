#!/usr/bin/env bash
# Print the folder of the JDK to build with: JAVA_HOME when its compiler is of 17 or newer (what the kernel is written in),
# else Debian's 17. Exit code 1 when there is neither.
set -euo pipefail

compiles() { [[ $("$1/bin/javac" -version 2>&1) =~ javac\ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 17)); }

for home in "${JAVA_HOME:-/none}" /usr/lib/jvm/java-17-openjdk-*; do
  if compiles "$home"; then
    echo "$home"
    exit 0
  fi
done
exit 1
