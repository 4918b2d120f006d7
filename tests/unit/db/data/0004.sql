-- A guest that is enrolled, and a token that waits.
INSERT INTO enrolments (id, project_id, consumer_type, consumer_id, token_hash, key_hash, created_at, expires_at, used_at, seen_at) VALUES ('e1', 'project-1', 'instance', 'vm-1', 'aa', 'bb', '2026-11-24 10:00:00.000000', '2026-11-24 10:10:00.000000', '2026-11-24 10:01:00.000000', '2026-11-24 10:30:00.000000');
INSERT INTO enrolments (id, project_id, consumer_type, consumer_id, token_hash, created_at, expires_at) VALUES ('e2', 'project-1', 'instance', 'vm-2', 'cc', '2026-11-24 10:00:00.000000', '2026-11-24 10:10:00.000000');
