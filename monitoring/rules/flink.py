"""Rules about Flink's jobs."""

from monitoring.rules.rule import Alert

ALERTS = (
    Alert(
        name="JobNotRunning",
        expr="millrace_job_not_running == 1",
        hold="1m",
        severity="critical",
        summary="Job {{ $labels.job }} should run and does not",
        entity="{{ $labels.job }}",
    ),
    Alert(
        name="JobRestarting",
        expr=(
            "flink_jobmanager_job_numRestarts"
            " - min_over_time(flink_jobmanager_job_numRestarts[10m]) > 0"
        ),
        hold="0s",
        severity="warning",
        summary="Job {{ $labels.job_name }} has restarted {{ $value }} times lately",
        entity="{{ $labels.job_name }}",
    ),
    Alert(
        name="CheckpointsFailing",
        expr=(
            "flink_jobmanager_job_numberOfFailedCheckpoints"
            " - min_over_time(flink_jobmanager_job_numberOfFailedCheckpoints[15m]) > 2"
        ),
        hold="0s",
        severity="warning",
        summary="{{ $value }} checkpoints of job {{ $labels.job_name }} have failed lately",
        entity="{{ $labels.job_name }}",
    ),
)
