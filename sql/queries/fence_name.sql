-- fence_name: names, for this transaction, who writes; the guard compares.
-- $1 runner_id, $2 epoch, or NULL when a batch only ends syncs
SELECT set_config('syncline.fence', $1 || ':' || coalesce($2, ''), true),
	set_config('syncline.counts', '{}', true)
