{{ config(unique_key='transaction_id', meta=by_day('event_date')) }}
with arrived as ({{ arrived('fraud_labels') }}),
ranked as (
  select *, row_number() over (
    partition by transaction_id
    order by event_time desc, _partition desc, _offset desc) as place
  from arrived
  where {{ is_text('transaction_id') }} and event_time is not null and is_fraud is not null
)
select
  transaction_id, event_time as known_at, event_date, customer_id, terminal_id, is_fraud,
  _topic, _partition, _offset, _ingested_at, {{ run_number() }} as _run
from ranked
where place = 1
{% if is_incremental() %}
  and not exists (
    select 1 from {{ this }} known
    where known.transaction_id = ranked.transaction_id
      and (known.known_at > ranked.event_time
           or known.known_at = ranked.event_time and {{ before('ranked', 'known') }}))
{% endif %}
