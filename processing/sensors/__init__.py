"""What the job of the sensors does with each reading, as a function of Flink."""
