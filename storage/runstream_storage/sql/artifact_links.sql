-- What a run made and read, in order of time. A row is a link: role (out, in), name, digest, the version as it was asked
-- for, when (microseconds since 1970), and the project that has the artifact.
-- project String. run_id UUID.
SELECT role, name, digest, version, ts_us, artifact_project
FROM artifact_links FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID}
ORDER BY ts_us, role, name, digest
