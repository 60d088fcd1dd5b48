"""The machine, as Debian's node exporter sees it."""

from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number

DISKS = '{fstype!~"tmpfs|ramfs|overlayfs|squashfs"}'
NO_DISK = "a container may see no disk of its own"

DASHBOARD = Dashboard(
    "infrastructure",
    "Infrastructure",
    {
        "CPU and memory": (
            number("Cores", 'count(node_cpu_seconds_total{mode="idle"})'),
            lines(
                "CPU in use, in cores",
                'sum by (mode) (rate(node_cpu_seconds_total{mode!="idle"}[1m]))',
                "{{mode}}",
                "none",
            ),
            Panel(
                "Load",
                (Query("node_load1", "1 minute"), Query("node_load5", "5 minutes")),
            ),
            Panel(
                "Memory",
                (
                    Query("node_memory_MemTotal_bytes", "total"),
                    Query("node_memory_MemAvailable_bytes", "available"),
                ),
                "bytes",
            ),
        ),
        "Disk and network": (
            lines(
                "Space left",
                f"node_filesystem_avail_bytes{DISKS} / node_filesystem_size_bytes{DISKS}",
                "{{mountpoint}}",
                "percentunit",
                empty=NO_DISK,
            ),
            lines(
                "Written to disk",
                "rate(node_disk_written_bytes_total[1m])",
                "{{device}}",
                "Bps",
                empty=NO_DISK,
            ),
            lines(
                "Received",
                "rate(node_network_receive_bytes_total[1m])",
                "{{device}}",
                "Bps",
            ),
            lines(
                "Sent",
                "rate(node_network_transmit_bytes_total[1m])",
                "{{device}}",
                "Bps",
            ),
        ),
    },
)
