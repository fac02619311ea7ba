#!/usr/bin/env bash
# KAFKA_A_B=value becomes the property a.b=value, as in the official image.
set -euo pipefail
properties=/etc/kafka/server.properties
: "${KAFKA_LOG_DIRS:=/var/lib/kafka/data}"
export KAFKA_LOG_DIRS
for variable in "${!KAFKA_@}"; do
  case $variable in KAFKA_HEAP_OPTS | KAFKA_OPTS) continue ;; esac
  name=${variable#KAFKA_}
  name=${name,,}
  printf '%s=%s\n' "${name//_/.}" "${!variable}"
done > "$properties"
run() { java ${KAFKA_HEAP_OPTS:--Xmx512m} -cp '/opt/kafka/libs/*' "$@"; }
run kafka.tools.StorageTool format --ignore-formatted \
  --cluster-id "${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}" --config "$properties"
exec java ${KAFKA_HEAP_OPTS:--Xmx512m} -cp '/opt/kafka/libs/*' kafka.Kafka "$properties"
