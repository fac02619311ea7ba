-- The steps at which runs show a text, histogram or media of each name, rising. A row is a name. Parameters as in
-- shown.sql. rank Int64: of this rank; -1: of all.
SELECT toString(name) AS of_name, arraySort(groupUniqArray(step)) AS steps
FROM
(
$shown
)
WHERE {rank:Int64} < 0 OR rank = {rank:Int64}
GROUP BY name
ORDER BY name
