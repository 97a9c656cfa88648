"""Read one file format each; all return the same table of interactions.

    tables          a file as a table that can say in which line something is wrong
    times           what stands in a time column, in seconds
    tabular         CSV and Parquet with named columns
    recbole         RecBole `.inter` with its optional `.item`
    xmarket         XMarket `{market}_5core.txt`
    online_retail   UCI Online Retail, one group of countries
    user_sequences  one user per line, items in time order, without times

Columns of the result: `user` str, `item` str, `timestamp` i64 in seconds, `row` i64 in file order and, where
the format has titles, `title` str. Whatever is wrong with a file, only DataError leaves this package. Its
message names columns, lines and counts, never what stands in a cell: that would be an interaction.
"""
