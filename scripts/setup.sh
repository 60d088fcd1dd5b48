#!/usr/bin/env bash
# From a Debian machine with Python 3.11 to everything Millrace needs: tools by apt, uv, locked Python environments,
# jars and the Java kernel by Maven. Each step is skipped when what it depends on has not changed (stamps in .build/stamps),
# so running it again costs nothing. Independent steps run side by side; apt alone is in the foreground, where sudo can ask.
#   scripts/setup.sh [--for demo|test] [--with lake|airflow|monitoring|ml]…
# `demo` leaves out the tools of development, and what groups of products need that are off by default; --with brings it.
# Airflow's tasks read the lake, so `--with airflow` brings the lake's Python libraries, too, but not its jars for Flink.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

uv_version=0.13.8
policy=/usr/sbin/policy-rc.d
mark="# for the length of Millrace's set-up, process"
as_root=()
lake='' lake_jars='' airflow='' monitoring='' ml=''

say() { echo "setup: $*"; }
refuse() { echo "setup: $*" >&2; exit 2; }

hash_of() { cat -- "$@" | sha256sum | cut -c1-16; }
fresh() { [[ -f $stamps/$1 && $(<"$stamps/$1") == "$2" ]]; }
stamp() { echo "$2" > "$stamps/$1"; }

# attempt COMMAND…: leave its exit code in the caller's `code`. Neither this nor anything that comes to it may be called in
# a condition (`if`, `!`, `||`, `&&`): bash turns `set -e` off in there, all the way down, and a function would go on after
# what failed in it.
attempt() {
  set +e
  (set -e; "$@")
  code=$?
  set -e
}

# step NAME TEXT COMMAND…: say it, run it into a log, say how long it took; on failure show the log's end.
step() {
  local name=$1 text=$2 began=$SECONDS code=0
  shift 2
  say "$text …"
  attempt "$@" > "$logs/$name.log" 2>&1 9>&-
  if ((code)); then
    echo "setup: failed: $text. The end of $logs/$name.log:" >&2
    tail -n 25 "$logs/$name.log" >&2
    return "$code"
  fi
  say "$text: done in $((SECONDS - began)) s"
}

# A setting as the application reads it: the environment's, else .env's; an empty one is none.
setting() {
  local name=$1 value
  value=${!name:-}
  if [[ -z $value && -f .env ]]; then
    value=$(sed -nE "s/^[[:space:]]*(export[[:space:]]+)?${name}[[:space:]]*=[[:space:]]*//p" .env | tail -n 1)
    case $value in
      \"*) value=${value#\"} value=${value%%\"*} ;;
      \'*) value=${value#\'} value=${value%%\'*} ;;
      *) value=${value%%[[:space:]]#*} value=${value%"${value##*[![:space:]]}"} ;;
    esac
  fi
  echo "$value"
}

# ---- tools by apt ---------------------------------------------------------------------------------------------------

has_jdk() { scripts/java_home.sh > /dev/null; }
has_venv() { "$python" -c 'import ensurepip, venv' 2> /dev/null; }
has_gomp() { ldconfig -p 2> /dev/null | grep -q 'libgomp\.so\.1' || /sbin/ldconfig -p 2> /dev/null | grep -q 'libgomp\.so\.1'; }

may_install() {  # refuse early and clearly when nothing can be installed here
  command -v apt-get > /dev/null || refuse "missing: $*; this is no Debian, so install them yourself and try again"
  ((${#as_root[@]})) || return 0
  command -v sudo > /dev/null || refuse "missing: $*; install them as root (apt-get install $*) or install sudo"
  if ! sudo -n true 2> /dev/null; then
    [[ -t 0 ]] || refuse "missing: $*; sudo asks for a password and there is no terminal"
    say "to install $*"
    sudo -v || refuse "missing: $*; install them as root (apt-get install $*)"
  fi
}

# Whether a set-up that was killed left it there. One that still runs needs it; one that is not ours is not ours to remove.
stale_policy() {
  local owner
  owner=$(sed -n "s/^$mark \([0-9]*\)$/\1/p" "$policy" 2> /dev/null) || return 1
  [[ -n $owner && ! -d /proc/$owner ]]
}

drop_policy() { "${as_root[@]}" rm -f "$policy"; }

# Debian starts a service when it installs one; the stack runs a Redis of its own, so nothing may be left running.
apt_install() {
  if [[ ! -e $policy ]]; then
    # However this ends: with the file left there Debian would never start a service again.
    trap drop_policy EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\n%s %s\nexit 101\n' "$mark" $$ | "${as_root[@]}" tee "$policy" > /dev/null
    "${as_root[@]}" chmod 755 "$policy"
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
  local service
  [[ -d /run/systemd/system ]] || return 0
  for service in redis-server prometheus prometheus-alertmanager prometheus-node-exporter; do
    if [[ " $* " == *" $service "* ]]; then
      "${as_root[@]}" systemctl disable --now "$service" || true
    fi
  done
}

packages() {
  step apt-update "reading apt's package lists" "${as_root[@]}" apt-get update -q
  step apt "installing $*" apt_install "$@"
}

# ---- the two sides --------------------------------------------------------------------------------------------------

# fetch_jars NAME FOLDER…: the folders that scripts/NAME.xml brings. Beside the old ones first: jars of another version must
# not stay among the new, and a failed fetch must break nothing.
fetch_jars() {
  local fetched=$build/fetch-$1 folder
  rm -rf "$fetched"
  mvn -q -B -f "scripts/$1.xml" generate-resources "-Dbuild=$fetched"
  for folder in "${@:2}"; do [[ -d $fetched/$folder ]]; done
  for folder in "${@:2}"; do
    mkdir -p "$(dirname "$build/$folder")"
    rm -rf "${build:?}/$folder"
    mv "$fetched/$folder" "$build/$folder"
  done
  rm -rf "$fetched"
}

# jars NAME TEXT FOLDER…: fetch what scripts/NAME.xml brings unless it is there.
jars() {
  local identity folder there=yes
  identity=$(hash_of "scripts/$1.xml")
  for folder in "${@:3}"; do [[ -d $build/$folder ]] || there=''; done
  if ! { fresh "$1" "$identity" && [[ $there ]]; }; then
    step "$1" "$2" fetch_jars "$1" "${@:3}"
    stamp "$1" "$identity"
  fi
}

java_side() {
  JAVA_HOME=$(scripts/java_home.sh) || refuse "no JDK of 17 or newer in /usr/lib/jvm: set JAVA_HOME"
  export JAVA_HOME
  local identity
  jars jars "fetching Kafka, the schema registry and Flink's connector by Maven" kafka registry flink/jars
  if [[ $lake_jars ]]; then
    jars jars-lake "fetching Iceberg by Maven" lake/jars
  fi
  identity=$(find processing/kernel/pom.xml processing/kernel/src -type f -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16)
  if ! { fresh kernel "$identity" && [[ -f processing/kernel/target/millrace-kernel.jar ]]; }; then
    step kernel "building the kernel by Maven" mvn -q -B -f processing/kernel package -DskipTests
    stamp kernel "$identity"
  fi
}

environment() { UV_PROJECT_ENVIRONMENT=$1 UV_PYTHON_DOWNLOADS=never "$build/tools/bin/uv" sync --frozen --python "$python" "${@:2}"; }

# Python compiles a module at its first import: once here, not in every process of a starting stack.
compiled() {
  local modules=${*:2}
  [[ -x $1/bin/python ]] || return 0
  env -u PYTHONDONTWRITEBYTECODE "$1/bin/python" -c "import ${modules// /, }" || true
}

app_environment() {
  local identity=$1 groups=(--group app --group dev --group forecasts --group lake --group mqtt --group browser)
  # Inexact: a demo after the tests must not take the test tools away.
  [[ $purpose == test ]] ||
    groups=(--group app ${lake:+--group lake --group forecasts} --no-group dev --inexact)
  step venv "syncing .venv (application) from uv.lock" environment .venv "${groups[@]}"
  compiled .venv millrace.cli.main millrace.demo.show millrace.flink.keeper \
    orchestration.fraud.train serving.api.app serving.fraud.consumer
  stamp "venv-$purpose${lake:+-lake}" "$identity"
}

# The environment for tests holds all that the demo and the lake need.
has_app() {
  fresh venv-test-lake "$1" && return
  [[ $purpose == demo ]] && { fresh venv-demo-lake "$1" || { [[ ! $lake ]] && fresh venv-demo "$1"; }; }
}

# Numba compiles the recommender's engine for half a minute: here, beside downloads, and not while a stack starts.
engine() { .venv/bin/python -c 'from serving.recommendations.rehearsal import rehearse; rehearse()'; }

app_side() {
  local identity=$1
  if ! { [[ -x .venv/bin/python ]] && has_app "$identity"; }; then
    app_environment "$identity"
  fi
  if [[ $ml ]]; then
    step venv-ml "bringing JAX into .venv" environment .venv --inexact --no-default-groups --group ml
  fi
  identity=$(hash_of uv.lock orchestration/compiled.py orchestration/recommendations/engine/*.py)
  if ! { fresh engine "$identity" && [[ -d $build/numba ]]; }; then
    step engine "compiling the recommender's engine" engine
    stamp engine "$identity"
  fi
}

flink_environment() {
  step venv-flink "syncing .venv-flink (PyFlink) from uv.lock" environment .venv-flink --no-default-groups --group flink
  compiled .venv-flink processing.submission pyflink.java_gateway pyflink.table
  stamp venv-flink "$1"
}

airflow_environment() {
  step venv-airflow "syncing .venv-airflow (Airflow) from uv.lock" environment .venv-airflow --no-default-groups --group airflow
  stamp venv-airflow "$1"
}

tools() {
  "$python" -m venv --clear "$build/tools"
  "$build/tools/bin/pip" install --quiet --disable-pip-version-check "uv==$uv_version"
}

python_side() {
  local identity jobs=()
  # uv brings certificates of its own; a company's proxy is known to the system's alone.
  [[ ! -f /etc/ssl/certs/ca-certificates.crt ]] || export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-1}
  if ! { fresh uv "$uv_version" && [[ -x $build/tools/bin/uv ]]; }; then
    step uv "installing uv $uv_version" tools
    stamp uv "$uv_version"
  fi
  identity=$(hash_of uv.lock pyproject.toml)
  app_side "$identity" & jobs+=($!)
  if ! { fresh venv-flink "$identity" && [[ -x .venv-flink/bin/python ]]; }; then
    flink_environment "$identity" & jobs+=($!)
  fi
  if [[ $airflow ]] && ! { fresh venv-airflow "$identity" && [[ -x .venv-airflow/bin/python ]]; }; then
    airflow_environment "$identity" & jobs+=($!)
  fi
  local job code=0
  for job in "${jobs[@]}"; do wait "$job" || code=$?; done
  return "$code"
}

# ---- the whole --------------------------------------------------------------------------------------------------------

choose() {
  purpose='test'
  lake='' lake_jars='' airflow='' monitoring='' ml=''
  while (($#)); do
    case $1 in
      --for) purpose=${2:-} ;;
      --with)
        case ${2:-} in
          lake) lake=yes lake_jars=yes ;;
          airflow) lake=yes airflow=yes ;;
          monitoring) monitoring=yes ;;
          ml) ml=yes ;;
          *) refuse "--with takes lake, airflow, monitoring or ml" ;;
        esac
        ;;
      *) echo "usage: scripts/setup.sh [--for demo|test] [--with lake|airflow|monitoring|ml]…" >&2; exit 2 ;;
    esac
    shift $(($# > 1 ? 2 : 1))
  done
  [[ $purpose == demo || $purpose == test ]] || refuse "--for takes demo or test"
  [[ $purpose == demo ]] || lake=yes lake_jars=yes airflow=yes monitoring=yes

  build=$(setting MILLRACE_BUILD_DIR)
  build=${build:-.build}
  [[ $build == /* ]] || build=$PWD/$build
  local LC_ALL=C fit='^[a-zA-Z0-9/._~+@= -]*$'
  [[ $PWD$build =~ $fit ]] ||
    refuse "$PWD and $build must be of plain letters, digits, spaces and . _ ~ + @ = -: Flink and Java cannot carry other paths"
  stamps=$build/stamps
  logs=$build/log

  python=$(command -v python3.11 || command -v python3 || true)
  [[ -n $python ]] || refuse "Python 3.11 is missing: install it (Debian 12: apt-get install python3) and try again"
  "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    refuse "Python 3.11 is needed, $python is $("$python" -V 2>&1); Flink's Python packages are locked for 3.11"
}

# Sets `missing` to the packages of Debian that are.
look_for_packages() {
  missing=()
  has_venv || missing+=(python3-venv)
  has_jdk || missing+=(openjdk-17-jdk-headless)
  command -v mvn > /dev/null || missing+=(maven)
  command -v redis-server > /dev/null || missing+=(redis-server)
  has_gomp || missing+=(libgomp1)
  [[ $purpose == demo ]] || command -v chromium > /dev/null || missing+=(chromium)
  [[ $monitoring ]] || return 0
  command -v promtool > /dev/null || missing+=(prometheus)
  command -v amtool > /dev/null || missing+=(prometheus-alertmanager)
  command -v prometheus-node-exporter > /dev/null || missing+=(prometheus-node-exporter)
}

main() {
  local began=$SECONDS side sides=() missing code=0
  choose "$@"
  mkdir -p "$stamps" "$logs"
  # One at a time: two would write the same folders.
  exec 9>"$build/setup.lock"
  flock -n 9 || { say "another set-up is running, waiting for it"; flock 9; }

  [[ $(id -u) == 0 ]] || as_root=(sudo)
  if stale_policy; then
    say "removing $policy, which a set-up that was killed left behind"
    drop_policy || say "not removed: Debian starts no service it installs until you do"
  fi
  look_for_packages
  ((${#missing[@]} == 0)) || may_install "${missing[@]}"
  # Python's side waits for apt only where venv comes from there.
  if has_venv; then
    python_side & sides+=($!)
  fi
  if ((${#missing[@]})); then
    attempt packages "${missing[@]}"
  fi
  if ((code == 0)); then
    if ((${#sides[@]} == 0)); then
      python_side & sides+=($!)
    fi
    java_side & sides+=($!)
  fi
  for side in "${sides[@]}"; do wait "$side" || code=$?; done
  ((code == 0)) || exit "$code"
  say "ready ($((SECONDS - began)) s)"
}

# Its functions can be tried one by one by whoever sources it.
if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  main "$@"
fi
