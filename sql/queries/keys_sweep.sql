-- keys_sweep: idempotency keys past their day.
DELETE FROM syncline.idempotency_keys
WHERE created_at < clock_timestamp() - interval '25 hours'
