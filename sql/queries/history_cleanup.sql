-- history_cleanup: remove what ended more than $1 days ago.
-- $1 days
-- => removed
SELECT syncline.cleanup(clock_timestamp() - make_interval(days => $1::integer))
	AS removed
