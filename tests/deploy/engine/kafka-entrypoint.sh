#!/bin/sh
# As the image apache/kafka begins: format once, then run.
set -eu
settings=/mnt/shared/config/server.properties
run() { /opt/java/bin/java ${KAFKA_HEAP_OPTS:-} -cp '/opt/kafka/libs/*' "$@"; }
if [ ! -f /var/lib/kafka/data/meta.properties ]; then
    run kafka.tools.StorageTool format --cluster-id "$CLUSTER_ID" --config "$settings"
fi
# shellcheck disable=SC2086 - several words
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS:-} -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/kafka/libs/*' kafka.Kafka "$settings"
