{#- Verdicts come days after payments: the day of a payment is counted anew when one arrives. -#}
{{ config(unique_key='event_date', meta=by_day('event_date')) }}
with new_scores as (select * from {{ ref('fraud_scores') }} {{ since_last_run() }}),
new_labels as (select * from {{ ref('fraud_labels') }} {{ since_last_run() }}),
new_payments as (select * from {{ ref('transactions') }} {{ since_last_run() }}),
changed as (
  select event_date from new_scores
  union
  select scored.event_date from {{ ref('fraud_scores') }} scored
  where scored.transaction_id in (select transaction_id from new_labels)
    or scored.transaction_id in (select transaction_id from new_payments)
),
judged as (
  select
    scored.event_date, scored.rule, scored.decision, scored.score, label.is_fraud,
    coalesce(paid.amount, cast(0 as decimal(18, 2))) as amount
  from {{ ref('fraud_scores') }} scored
  left join {{ ref('fraud_labels') }} label on scored.transaction_id = label.transaction_id
  left join {{ ref('transactions') }} paid on scored.transaction_id = paid.transaction_id
  where scored.event_date in (select event_date from changed)
),
days as (
  select
    event_date,
    rule,
    count(*) as payments,
    count(case when decision = 'review' then 1 end) as reviewed,
    count(case when decision = 'block' then 1 end) as blocked,
    count(is_fraud) as judged,
    count(case when is_fraud then 1 end) as frauds,
    count(case when is_fraud and decision <> 'approve' then 1 end) as caught,
    count(case when not is_fraud and decision <> 'approve' then 1 end) as false_alarms,
    cast(sum(case when is_fraud then amount else 0 end) as decimal(28, 2)) as fraud_amount,
    cast(sum(case when is_fraud and decision <> 'approve' then amount else 0 end)
      as decimal(28, 2)) as caught_amount
  from judged
  group by event_date, rule
)
select
  *,
  {{ share('caught', 'caught + false_alarms') }} as "precision",
  {{ run_number() }} as _run
from days
