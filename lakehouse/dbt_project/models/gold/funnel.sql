{{ config(unique_key='event_date', meta=by_day('event_date')) }}
with changed as (select distinct event_date from {{ ref('shop_events') }} {{ since_last_run() }}),
days as (
  select
    event_date,
    count(distinct user_id) as visitors,
    count(distinct case when event_type = 'view' then user_id end) as viewers,
    count(distinct case when event_type = 'addtocart' then user_id end) as carts,
    count(distinct case when event_type = 'transaction' then user_id end) as buyers,
    count(*) as events
  from {{ ref('shop_events') }}
  where event_date in (select event_date from changed)
  group by event_date
)
select
  *,
  {{ share('carts', 'visitors') }} as cart_share,
  {{ share('buyers', 'visitors') }} as buyer_share,
  {{ run_number() }} as _run
from days
