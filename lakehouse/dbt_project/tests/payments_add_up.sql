-- The days' payments are those of silver, to the cent.
select *
from (select sum(spent - refunded) as gold from {{ ref('daily_payments') }}) days,
     (select sum(amount) as silver from {{ ref('transactions') }}) rows_
where coalesce(gold, 0) <> coalesce(silver, 0)
