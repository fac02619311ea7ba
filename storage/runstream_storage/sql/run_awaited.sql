-- Artifacts that a run logged and that are not there, in order of time: their files are on their way, or are lost. A row is
-- one of them: name, type, files, bytes, state (pending, lost), why it is lost, when it was logged (microseconds since 1970).
-- project String. run_id UUID.
SELECT name, type, files, size, state, reason, ts_us
FROM awaited FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID} AND kind = 'ArtifactLogged' AND state != 'arrived'
ORDER BY ts_us, writer
