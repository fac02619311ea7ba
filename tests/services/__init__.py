"""Where the tests' Kafka, ClickHouse, S3 and browser come from; `docs/development.md` explains the tiers."""
