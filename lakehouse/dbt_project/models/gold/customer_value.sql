{{ config(unique_key='customer_id') }}
with new_payments as (select * from {{ ref('transactions') }} {{ since_last_run() }}),
new_labels as (select * from {{ ref('fraud_labels') }} {{ since_last_run() }}),
changed as (
  select customer_id from new_payments
  union
  select paid.customer_id from {{ ref('transactions') }} paid
  where paid.transaction_id in (select transaction_id from new_labels)
),
customers as (
  select
    paid.customer_id,
    count(*) as payments,
    cast(sum(case when paid.amount > 0 then paid.amount else 0 end) as decimal(28, 2)) as spent,
    cast(sum(case when paid.amount < 0 then -paid.amount else 0 end) as decimal(28, 2)) as refunded,
    cast(
      sum(case when label.is_fraud then paid.amount else 0 end) as decimal(28, 2)
    ) as fraud_amount,
    count(case when label.is_fraud then 1 end) as frauds,
    count(distinct paid.event_date) as active_days,
    min(paid.event_time) as first_payment,
    max(paid.event_time) as last_payment
  from {{ ref('transactions') }} paid
  left join {{ ref('fraud_labels') }} label on paid.transaction_id = label.transaction_id
  where paid.customer_id in (select customer_id from changed)
  group by paid.customer_id
)
select
  *,
  cast(spent - refunded - fraud_amount as decimal(28, 2)) as value,
  {{ run_number() }} as _run
from customers
