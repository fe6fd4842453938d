-- audit_add: who did what to whom.
-- $1 actor, $2 action, $3 subject or NULL, $4 data (JSON) or NULL
INSERT INTO syncline.audit_log (actor, action, subject, data)
VALUES ($1, $2, $3, $4::jsonb)
