-- partitions_ensure: this month's and the next three months' partitions.
SELECT syncline.ensure_partitions(3)
