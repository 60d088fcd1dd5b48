#!/usr/bin/env bash
# From a Debian machine with Python 3.11 to everything Millrace needs: tools by apt, uv, two locked Python environments,
# jars and the Java kernel by Maven. Each step is skipped when what it depends on has not changed (stamps in .build/stamps),
# so running it again costs nothing. Independent steps run side by side.
#   scripts/setup.sh [--for demo|test]     demo leaves out the tools of development
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=test
case "${1:-}" in
  "") ;;
  --for) purpose=${2:-} ;;
  *) echo "usage: scripts/setup.sh [--for demo|test]" >&2; exit 2 ;;
esac
[[ $purpose == demo || $purpose == test ]] || { echo "setup: --for takes demo or test" >&2; exit 2; }

build=$PWD/${MILLRACE_BUILD_DIR:-.build}
[[ ${MILLRACE_BUILD_DIR:-} == /* ]] && build=$MILLRACE_BUILD_DIR
stamps=$build/stamps
logs=$build/log
uv_version=0.13.8
mkdir -p "$stamps" "$logs"

say() { echo "setup: $*"; }
refuse() { echo "setup: $*" >&2; exit 2; }

# One at a time: two would write the same folders.
exec 9>"$build/setup.lock"
flock -n 9 || { say "another set-up is running, waiting for it"; flock 9; }

hash_of() { cat -- "$@" | sha256sum | cut -c1-16; }
fresh() { [[ -f $stamps/$1 && $(<"$stamps/$1") == "$2" ]]; }
stamp() { echo "$2" > "$stamps/$1"; }

# step NAME TEXT COMMAND…: say it, run it into a log, say how long it took; on failure show the log's end.
step() {
  local name=$1 text=$2 began=$SECONDS
  shift 2
  say "$text …"
  if ! "$@" > "$logs/$name.log" 2>&1 9>&-; then
    echo "setup: failed: $text. The end of $logs/$name.log:" >&2
    tail -n 25 "$logs/$name.log" >&2
    return 1
  fi
  say "$text: done in $((SECONDS - began)) s"
}

# ---- tools by apt ---------------------------------------------------------------------------------------------------

python=$(command -v python3.11 || command -v python3 || true)
[[ -n $python ]] || refuse "Python 3.11 is missing: install it (Debian 12: apt-get install python3) and try again"
"$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
  refuse "Python 3.11 is needed, $python is $("$python" -V 2>&1); Flink's Python packages are locked for 3.11"

has_jdk() { compgen -G '/usr/lib/jvm/java-17-openjdk-*/bin/javac' > /dev/null || [[ -x ${JAVA_HOME:-/none}/bin/javac ]]; }
has_venv() { "$python" -c 'import ensurepip, venv' 2> /dev/null; }
has_gomp() { ldconfig -p 2> /dev/null | grep -q 'libgomp\.so\.1' || /sbin/ldconfig -p 2> /dev/null | grep -q 'libgomp\.so\.1'; }

as_root=()
apt_ready=no
apt_can() {  # refuse early and clearly when nothing can be installed here
  [[ $apt_ready == no ]] || return 0
  command -v apt-get > /dev/null || refuse "missing: $*; this is no Debian, so install them yourself and try again"
  if [[ $(id -u) != 0 ]]; then
    command -v sudo > /dev/null || refuse "missing: $*; install them as root (apt-get install $*) or install sudo"
    sudo -n true 2> /dev/null || [[ -t 0 ]] || refuse "missing: $*; sudo asks for a password and there is no terminal"
    as_root=(sudo)
  fi
  step apt-update "reading apt's package lists" "${as_root[@]}" apt-get update -q ||
    refuse "apt-get update failed: is there a network? Missing are: $*"
  apt_ready=yes
}

# Debian starts a service when it installs one; the stack runs a Redis of its own, so nothing may be left running.
apt_install() {
  local policy=/usr/sbin/policy-rc.d made=no code=0
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
    "${as_root[@]}" chmod 755 "$policy"
    made=yes
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" || code=$?
  [[ $made == no ]] || "${as_root[@]}" rm -f "$policy"
  if [[ $code == 0 && " $* " == *" redis-server "* && -d /run/systemd/system ]]; then
    "${as_root[@]}" systemctl disable --now redis-server || true
  fi
  return $code
}

if ! has_venv; then
  apt_can python3-venv
  step apt-venv "installing python3-venv" apt_install python3-venv || refuse "apt could not install python3-venv"
fi

# ---- the two sides --------------------------------------------------------------------------------------------------

# Beside the old ones first: jars of another version must not stay among the new, and a failed fetch must break nothing.
fetch_jars() {
  rm -rf "$build/fetch"
  mvn -q -B -f scripts/jars.xml generate-resources "-Dbuild=$build/fetch"
  mkdir -p "$build/flink"
  rm -rf "$build/kafka" "$build/registry" "$build/flink/jars"
  mv "$build/fetch/kafka" "$build/fetch/registry" "$build/"
  mv "$build/fetch/flink/jars" "$build/flink/"
  rm -rf "$build/fetch"
}

java_side() {
  local missing=()
  has_jdk || missing+=(openjdk-17-jdk-headless)
  command -v mvn > /dev/null || missing+=(maven)
  command -v redis-server > /dev/null || missing+=(redis-server)
  has_gomp || missing+=(libgomp1)
  if ((${#missing[@]})); then
    apt_can "${missing[@]}"
    step apt "installing ${missing[*]}" apt_install "${missing[@]}" || refuse "apt could not install: ${missing[*]}"
  fi
  if [[ -z ${JAVA_HOME:-} ]]; then
    JAVA_HOME=$(compgen -G '/usr/lib/jvm/java-17-openjdk-*' | head -n 1)
    export JAVA_HOME
  fi
  local identity
  identity=$(hash_of scripts/jars.xml)
  if ! { fresh jars "$identity" && [[ -d $build/kafka && -d $build/registry && -d $build/flink/jars ]]; }; then
    step jars "fetching Kafka, the schema registry and Flink's connector by Maven" fetch_jars
    stamp jars "$identity"
  fi
  identity=$(find processing/kernel/pom.xml processing/kernel/src -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16)
  if ! { fresh kernel "$identity" && [[ -f processing/kernel/target/millrace-kernel.jar ]]; }; then
    step kernel "building the kernel by Maven" mvn -q -B -f processing/kernel package -DskipTests
    stamp kernel "$identity"
  fi
}

# uv brings certificates of its own; a company's proxy is known to the system's alone.
[[ ! -f /etc/ssl/certs/ca-certificates.crt ]] || export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-1}

environment() { UV_PROJECT_ENVIRONMENT=$1 UV_PYTHON_DOWNLOADS=never "$build/tools/bin/uv" sync --frozen --python "$python" "${@:2}"; }

app_environment() {
  local identity=$1 groups=(--group app --group dev)
  # Inexact: a demo after the tests must not take the test tools away.
  [[ $purpose == test ]] || groups=(--group app --no-group dev --inexact)
  step venv "syncing .venv (application) from uv.lock" environment .venv "${groups[@]}"
  stamp "venv-$purpose" "$identity"
}

flink_environment() {
  step venv-flink "syncing .venv-flink (PyFlink) from uv.lock" environment .venv-flink --no-default-groups --group flink
  stamp venv-flink "$1"
}

tools() {
  "$python" -m venv --clear "$build/tools"
  "$build/tools/bin/pip" install --quiet --disable-pip-version-check "uv==$uv_version"
}

python_side() {
  local identity jobs=()
  if ! { fresh uv "$uv_version" && [[ -x $build/tools/bin/uv ]]; }; then
    step uv "installing uv $uv_version" tools
    stamp uv "$uv_version"
  fi
  identity=$(hash_of uv.lock pyproject.toml)
  # The environment for tests holds all that the demo needs.
  if ! { [[ -x .venv/bin/python ]] && { fresh venv-test "$identity" || { [[ $purpose == demo ]] && fresh venv-demo "$identity"; }; }; }; then
    app_environment "$identity" & jobs+=($!)
  fi
  if ! { fresh venv-flink "$identity" && [[ -x .venv-flink/bin/python ]]; }; then
    flink_environment "$identity" & jobs+=($!)
  fi
  local job code=0
  for job in "${jobs[@]}"; do wait "$job" || code=$?; done
  return $code
}

began=$SECONDS
java_side & java=$!
python_side & python_pid=$!
code=0
wait $java || code=$?
wait $python_pid || code=$?
((code == 0)) || exit $code
say "ready ($((SECONDS - began)) s)"
