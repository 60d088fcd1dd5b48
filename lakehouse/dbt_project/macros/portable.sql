{#- What DuckDB and Trino spell differently, and what several models say. -#}

{#- A double as money: to the nearest cent. -#}
{% macro money(value) -%} cast(round({{ value }}, 2) as decimal(18, 2)) {%- endmacro %}

{#- Neither null, NaN nor infinite, and small enough for money. -#}
{% macro is_money(value) -%} abs({{ value }}) < 1e15 {%- endmacro %}

{% macro is_text(value) -%} length({{ value }}) > 0 {%- endmacro %}

{% macro first_of(list) -%}
  {% if target.type == 'duckdb' %}{{ list }}[1]{% else %}element_at({{ list }}, 1){% endif %}
{%- endmacro %}

{#- Rows of bronze that a silver table has not seen: those after its last offset in each partition.
    A partition is committed in the order of its offsets. `event_date` is the day of `time`. -#}
{% macro arrived(table, time="event_time") -%}
  select arrived.*, cast({{ time }} as date) as event_date
  from {{ source('bronze', table) }} arrived
  {% if is_incremental() -%}
  left join (
    select _topic, _partition, max(_offset) as _offset from {{ this }} group by _topic, _partition
  ) seen on arrived._topic = seen._topic and arrived._partition = seen._partition
  where seen._offset is null or arrived._offset > seen._offset
  {%- endif %}
{%- endmacro %}

{#- Rows of a business id in the order in which they came: an id is always in one partition. -#}
{% macro by_place() -%} _partition, _offset {%- endmacro %}

{#- Whether row `a` came before row `b`. -#}
{% macro before(a, b) -%}
  ({{ a }}._partition < {{ b }}._partition
   or {{ a }}._partition = {{ b }}._partition and {{ a }}._offset < {{ b }}._offset)
{%- endmacro %}

{#- The run from which on rows of a ref are new to this model. -#}
{% macro since_last_run() -%}
  {% if is_incremental() -%}
  where _run > (select coalesce(max(_run), 0) from {{ this }})
  {%- endif %}
{%- endmacro %}

{% macro share(part, whole) -%} cast({{ part }} as double) / nullif({{ whole }}, 0) {%- endmacro %}
