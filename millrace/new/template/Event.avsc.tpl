{
  "type": "record", "name": "@CLASS@Event", "namespace": "millrace",
  "doc": "Something that happened to somebody.",
  "fields": [
    {"name": "event_id", "type": "string", "doc": "Names the event, once and for all."},
    {"name": "entity_id", "type": "string", "doc": "Whom it happened to."},
    {"name": "event_time", "type": {"type": "long", "logicalType": "timestamp-millis"},
     "doc": "When, UTC."},
    {"name": "amount", "type": "double", "doc": "How much."}
  ]
}
