-- Names of media that runs show, by name. A row is a name and a kind: how many runs, steps and items it has, its first and
-- its last step. Parameters as in shown.sql. kinds Array(String): which; empty: all.
SELECT toString(name) AS of_name, toString(kind) AS of_kind, uniqExact(run_id) AS runs, uniqExact(step) AS steps,
       count() AS items, min(step) AS first, max(step) AS last
FROM
(
$shown
)
WHERE empty({kinds:Array(String)}) OR kind IN {kinds:Array(String)}
GROUP BY name, kind
ORDER BY name, kind
