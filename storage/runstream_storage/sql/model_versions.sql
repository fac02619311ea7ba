-- Versions of a registered model, the newest first. A row is a version; times are microseconds since 1970.
-- project String. model String. deleted UInt8: 1: deleted ones, too.
SELECT version, artifact_project, artifact, artifact_version, digest, stage, aliases, tags, verdict, description, note,
       toUnixTimestamp64Micro(registered_at) AS registered_us, registered_by,
       toUnixTimestamp64Micro(changed_at) AS changed_us, changed_by, toString(run_id) AS run, run_name, deleted
FROM v_model_versions
WHERE project = {project:String} AND model = {model:String} AND (NOT deleted OR {deleted:UInt8} = 1)
ORDER BY toUInt32OrZero(substring(version, 2)) DESC
