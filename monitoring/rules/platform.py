"""Rules about processes, stores and the machine."""

from monitoring.rules.rule import Alert

ALERTS = (
    Alert(
        name="TargetDown",
        expr="avg_over_time(up[1m]) < 0.5",
        hold="0s",
        severity="critical",
        summary="{{ $labels.process }} does not answer Prometheus",
        entity="{{ $labels.process }}",
    ),
    Alert(
        name="RegistryDown",
        expr="millrace_registry_up == 0",
        hold="1m",
        severity="critical",
        summary="The schema registry does not answer",
        entity="registry",
    ),
    Alert(
        name="RedisDown",
        expr="millrace_redis_up == 0",
        hold="1m",
        severity="critical",
        summary="Redis does not answer: the API and the consumers wait",
        entity="redis",
    ),
    Alert(
        name="RedisNearlyFull",
        expr="millrace_redis_memory_used_bytes / millrace_redis_memory_limit_bytes > 0.9",
        hold="5m",
        severity="warning",
        summary="Redis uses {{ $value | humanizePercentage }} of the memory that it may take",
        entity="redis",
    ),
    Alert(
        name="DiskNearlyFull",
        expr=(
            'node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs|overlayfs|squashfs"}'
            ' / node_filesystem_size_bytes{fstype!~"tmpfs|ramfs|overlayfs|squashfs"} < 0.05'
        ),
        hold="10m",
        severity="critical",
        summary="{{ $labels.mountpoint }} has {{ $value | humanizePercentage }} of its space left",
        entity="{{ $labels.mountpoint }}",
    ),
)
