-- What a run made and read, in order of time. A row is a link: role (out, in), name, digest, the version as it was asked
-- for, and when (microseconds since 1970).
-- project String. run_id UUID.
SELECT role, name, digest, version, ts_us
FROM artifact_links FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID}
ORDER BY ts_us, role, name, digest
