"""Declare what Flink, the broker and the registry may use, and how jobs checkpoint."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Jvms(BaseModel):
    """Settings of the processes on a JVM."""

    flink_parallelism: int = Field(
        default=1, ge=1, description="of each job; more needs more partitions"
    )
    flink_task_slots: int | None = Field(
        default=None,
        ge=1,
        description="of the TaskManager; unset: as many as the jobs of the groups that run need",
    )
    flink_jobmanager_memory: str = Field(
        default="768m",
        description="the JobManager's whole process: a number and m or g, at least 512m",
    )
    flink_taskmanager_memory: str = Field(
        default="2048m",
        description="the TaskManager's whole process: a number and m or g, at least 896m",
    )
    jvm_second_compiler: bool = Field(
        default=True,
        description="TaskManager and broker compile twice what runs long; false suits a stack of "
        "minutes",
    )
    flink_checkpoint_interval_ms: int = Field(
        default=60_000,
        ge=100,
        description="after a TaskManager's death up to this much is read again",
    )
    flink_buffer_timeout_ms: int = Field(
        default=0,
        ge=0,
        description="longest a record waits in a network buffer; 0: each is sent at once",
    )
    kafka_heap: str = Field(
        default="512m", description="the broker's heap, as Java's -Xmx takes it"
    )
    registry_heap: str = Field(
        default="256m", description="the registry's heap, as Java's -Xmx takes it"
    )
