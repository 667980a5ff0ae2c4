-- A spreadsheet takes what begins with = + - @, a tab or a line end for a formula and runs it, whoever wrote it (OWASP, "CSV Injection").
-- Some take the full-width and small forms of these signs and the minus sign of typographers too, and some skip blanks and what cannot be
-- seen in front of them. Such a text gets an apostrophe in front. What the field holds besides does not matter: it is always in quotes, in
-- which quotes are doubled. Who wants the text as it is takes NDJSON.
CREATE OR REPLACE FUNCTION csv_text(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value IS NULL THEN ''
                ELSE '"' || CASE WHEN value ~ ('^([\t\r\n]|[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f'
                                               '\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0]*'
                                               '[=+@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20-])')
                                 THEN '''' ELSE '' END || replace(value, '"', '""') || '"' END
$$;

-- Whether a CSV file begins with U+FEFF, by which Excel knows UTF-8.
ALTER TABLE export ADD COLUMN bom boolean NOT NULL DEFAULT false;
