"""Flink: its jobs, backpressure, checkpoints, and the memory of its JVMs."""

from monitoring.dashboards.panel import Dashboard, Panel, Query, lines, number

TASK = "flink_taskmanager_job_task"

DASHBOARD = Dashboard(
    "flink",
    "Flink",
    {
        "Jobs": (
            number("Jobs that run", "flink_jobmanager_numRunningJobs"),
            number("Slots free", "flink_jobmanager_taskSlotsAvailable"),
            number("TaskManagers", "flink_jobmanager_numRegisteredTaskManagers"),
            lines("Restarts", "flink_jobmanager_job_numRestarts", "{{job_name}}"),
            lines(
                "Records in, by task",
                f"sum by (job_name, task_name) ({TASK}_numRecordsInPerSecond)",
                "{{job_name}} {{task_name}}",
                "cps",
            ),
            lines(
                "Records out, by task",
                f"sum by (job_name, task_name) ({TASK}_numRecordsOutPerSecond)",
                "{{job_name}} {{task_name}}",
                "cps",
            ),
        ),
        "Backpressure": (
            lines(
                "Share of time that a task is held up",
                f"max by (job_name, task_name) ({TASK}_backPressuredTimeMsPerSecond) / 1000",
                "{{job_name}} {{task_name}}",
                "percentunit",
            ),
            lines(
                "Share of time that a task is busy",
                f"max by (job_name, task_name) ({TASK}_busyTimeMsPerSecond) / 1000",
                "{{job_name}} {{task_name}}",
                "percentunit",
            ),
            lines(
                "Records that sources have not read",
                "sum by (job_name) (flink_taskmanager_job_task_operator_pendingRecords)",
                "{{job_name}}",
            ),
        ),
        "Checkpoints": (
            lines(
                "Duration of the last",
                "flink_jobmanager_job_lastCheckpointDuration / 1000",
                "{{job_name}}",
                "s",
            ),
            lines(
                "Size of the last",
                "flink_jobmanager_job_lastCheckpointFullSize",
                "{{job_name}}",
                "bytes",
            ),
            Panel(
                "Completed and failed",
                (
                    Query(
                        "flink_jobmanager_job_numberOfCompletedCheckpoints",
                        "{{job_name}} completed",
                    ),
                    Query("flink_jobmanager_job_numberOfFailedCheckpoints", "{{job_name}} failed"),
                ),
            ),
        ),
        "JVM of the TaskManager": (
            Panel(
                "Heap",
                (
                    Query("flink_taskmanager_Status_JVM_Memory_Heap_Used", "used"),
                    Query("flink_taskmanager_Status_JVM_Memory_Heap_Max", "limit"),
                ),
                "bytes",
            ),
            lines(
                "Share of the machine's CPU",
                "flink_taskmanager_Status_JVM_CPU_Load",
                "TaskManager",
                "percentunit",
            ),
        ),
    },
)
