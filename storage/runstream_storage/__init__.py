"""ClickHouse and the object store of Runstream: schema, queries, filters, files."""
