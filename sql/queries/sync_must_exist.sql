-- sync_must_exist: ends the transaction with 40001 unless the sync that it
-- was to start is there, so that nothing is cancelled for no new one.
-- $1 sync_id
SELECT syncline.refuse('40001', 'the sync could not start')
WHERE NOT EXISTS (SELECT FROM syncline.sync_active WHERE sync_id = $1)
