"""What sets the assets off: the change-stream sensor and the schedules."""
