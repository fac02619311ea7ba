"""The small process beside a training process: it passes on and records its output, and samples the machine."""
