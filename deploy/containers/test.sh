#!/usr/bin/env bash
# Prove the container tier of the tests and deploy/compose.yaml, with images made on this machine.
#
# Uses the Docker engine that answers, else starts one of its own and stops it again. Image names that are set in
# RUNSTREAM_TEST_IMAGE_KAFKA, _CLICKHOUSE, _MINIO and PYTHON_IMAGE are taken as they are instead.
# Needs root for a dockerd of its own; the tools of `runstream dev` (Java, Maven, npm, Go).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-$PWD/.venv/bin/python}
work=${XDG_CACHE_HOME:-$HOME/.cache}/runstream/containers
mkdir -p "$work"
step() { printf '\n=== %s (%s)\n' "$1" "$(date -u +%H:%M:%S)"; }

dockerd_pid=""
project="runstream-test-$$"
compose_up=""
clean() {
  status=$?
  if [ -n "$compose_up" ]; then
    [ "$status" = 0 ] || compose logs --tail 40 || true
    compose down --volumes --timeout 20 >/dev/null 2>&1 || true
  fi
  if [ -n "$dockerd_pid" ]; then
    docker image prune --force --filter until=24h >/dev/null 2>&1 || true # layers of older sources
    kill "$dockerd_pid" 2>/dev/null || true
    wait "$dockerd_pid" 2>/dev/null || true
  fi
  exit "$status"
}
trap clean EXIT

apt_install() {
  if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    echo "$1 is missing; install it and run this again" >&2
    exit 1
  fi
  apt-get update -qq
  shift
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

step "a Docker engine"
if ! docker info >/dev/null 2>&1; then
  command -v dockerd >/dev/null || apt_install dockerd docker.io iptables
  # A socket and data of its own: other programs of this machine do not see this engine.
  export DOCKER_HOST="unix://$work/docker.sock"
  rm -f "$work/docker.pid"
  dockerd -H "$DOCKER_HOST" --data-root "$work/docker" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
    >"$work/dockerd.log" 2>&1 &
  dockerd_pid=$!
  for _ in $(seq 60); do
    docker info >/dev/null 2>&1 && break
    if ! kill -0 "$dockerd_pid" 2>/dev/null; then
      tail -20 "$work/dockerd.log" >&2
      exit 1
    fi
    sleep 0.5
  done
fi
docker version --format 'engine {{.Server.Version}}'

step "docker compose"
if docker compose version >/dev/null 2>&1; then
  compose_program=(docker compose)
else
  compose_version=v2.32.4
  if [ ! -x "$work/compose-$compose_version" ]; then
    echo "compiling docker compose $compose_version (once, about two minutes) ..."
    GOBIN="$work/bin" CGO_ENABLED=0 go install -ldflags='-s -w' "github.com/docker/compose/v2/cmd@$compose_version"
    mv "$work/bin/cmd" "$work/compose-$compose_version"
  fi
  compose_program=("$work/compose-$compose_version")
fi
compose() { "${compose_program[@]}" -p "$project" -f deploy/compose.yaml "$@"; }
"${compose_program[@]}" version

# Builds use this machine's network and package index; nothing of it stays in an image but the public certificates.
build() { # NAME CONTEXT [OPTION ...]
  local name=$1 context=$2
  shift 2
  echo "building $name ..."
  if ! docker build --network host -t "$name" "$@" "$context" >"$work/build.log" 2>&1; then
    tail -40 "$work/build.log" >&2
    return 1
  fi
}

step "images"
base=runstream-dev/debian:bookworm
if ! docker image inspect "$base" >/dev/null 2>&1; then
  command -v debootstrap >/dev/null || apt_install debootstrap debootstrap
  echo "a Debian base by debootstrap (once, about half a minute) ..."
  rm -rf "$work/debian"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$work/debian" >"$work/debootstrap.log"
  cp /etc/ssl/certs/ca-certificates.crt "$work/debian/etc/ssl/certs/ca-certificates.crt"
  tar -C "$work/debian" -c . | docker import - "$base" >/dev/null
  rm -rf "$work/debian"
fi
"$python" deploy/containers/images.py "$work/contexts"
if [ -z "${PYTHON_IMAGE:-}" ]; then
  PYTHON_IMAGE=runstream-dev/python:3
  build "$PYTHON_IMAGE" "$work/contexts/python"
fi
if [ -z "${RUNSTREAM_TEST_IMAGE_KAFKA:-}" ]; then
  export RUNSTREAM_TEST_IMAGE_KAFKA=runstream-dev/kafka
  build "$RUNSTREAM_TEST_IMAGE_KAFKA" "$work/contexts/kafka"
fi
if [ -z "${RUNSTREAM_TEST_IMAGE_CLICKHOUSE:-}" ]; then
  export RUNSTREAM_TEST_IMAGE_CLICKHOUSE=runstream-dev/clickhouse
  build "$RUNSTREAM_TEST_IMAGE_CLICKHOUSE" "$work/contexts/clickhouse" --build-arg "BASE=runstream-dev/python:3"
fi
if [ -z "${RUNSTREAM_TEST_IMAGE_MINIO:-}" ]; then
  export RUNSTREAM_TEST_IMAGE_MINIO=runstream-dev/minio
  build "$RUNSTREAM_TEST_IMAGE_MINIO" "$work/contexts/minio"
fi
arguments=()
for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT; do
  [ -z "${!name:-}" ] || arguments+=(--build-arg "$name")
done
export RUNSTREAM_IMAGE=runstream-dev/runstream
build "$RUNSTREAM_IMAGE" . -f deploy/Dockerfile --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE" "${arguments[@]}"

if [ "${1:-}" != --compose-only ]; then
  step "the tests, each service in a container"
  RUNSTREAM_TEST_SERVICES=containers "$python" -m pytest -q -m "kafka or clickhouse or s3" "$@"
fi

step "deploy/compose.yaml"
export KAFKA_IMAGE=$RUNSTREAM_TEST_IMAGE_KAFKA CLICKHOUSE_IMAGE=$RUNSTREAM_TEST_IMAGE_CLICKHOUSE
export MINIO_IMAGE=$RUNSTREAM_TEST_IMAGE_MINIO
secret() { "$python" -c 'import secrets; print(secrets.token_hex(12))'; }
CLICKHOUSE_PASSWORD=$(secret) CLICKHOUSE_READER_PASSWORD=$(secret) MINIO_PASSWORD=$(secret)
export CLICKHOUSE_PASSWORD CLICKHOUSE_READER_PASSWORD MINIO_PASSWORD
ports=$("$python" -c 'from runstream_deploy.dev.ports import free_ports; print(*free_ports(6))')
read -r KAFKA_PORT CLICKHOUSE_HTTP_PORT CLICKHOUSE_TCP_PORT MINIO_PORT UI_PORT INGEST_PORT <<<"$ports"
export KAFKA_PORT CLICKHOUSE_HTTP_PORT CLICKHOUSE_TCP_PORT MINIO_PORT UI_PORT INGEST_PORT
compose_up=yes
compose up --detach --no-build --wait --wait-timeout 180 kafka clickhouse minio ingest ui
compose ps
"$python" deploy/containers/smoke.py

step "passed"
