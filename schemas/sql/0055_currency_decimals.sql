-- How many decimals an amount in the currency of a company may have (ISO 4217, minor units). The columns of money have
-- two, so a currency with three has two here.
CREATE FUNCTION currency_decimals(company uuid) RETURNS integer
    LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
    SELECT CASE WHEN c.currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI',
                                    'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0 ELSE 2 END
      FROM public.company AS c WHERE c.id = company
$$;

REVOKE ALL ON FUNCTION currency_decimals(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION currency_decimals(uuid) TO cortex_engine;
