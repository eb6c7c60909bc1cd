# How far a process has to be, as process-compose says it.
wanted: {
  condition =
    {
      started = "process_started";
      ready = "process_healthy";
      completed = "process_completed_successfully";
    }
    .${wanted};
}
