-- A project with a limit of its own.
UPDATE quotas SET limit_slices = 10 WHERE project_id = 'project-1';
