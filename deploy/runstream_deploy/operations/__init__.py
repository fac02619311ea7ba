"""What an operator does to a running Runstream: watch the lag, look at dead letters, read a topic again."""
