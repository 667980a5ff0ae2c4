-- From here on, text search goes by the blocks (0025_text_blocks.sql). Until a worker has filled them, a company with more than 20,000 rows
-- is searched row by row.
SELECT text_search_begin('project', '{number,name,description,address}');
SELECT text_search_begin('task', '{title,description}');
