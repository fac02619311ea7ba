-- How many files and media there are, duplicates included. One row. No parameters.
SELECT (SELECT sum(length(files)) FROM artifacts) + (SELECT count() FROM media) AS n
