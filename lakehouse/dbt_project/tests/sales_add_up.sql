-- The days' sales are those of the items, to the cent.
select *
from (select sum(sales) as days from {{ ref('daily_sales') }}) sold,
     (select sum(sales) as items from {{ ref('demand_history') }}) items_
where coalesce(days, 0) <> coalesce(items, 0)
