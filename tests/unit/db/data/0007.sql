-- A device whose driver has told its overhead.
UPDATE slices SET overhead = 8 WHERE id = 's1';
UPDATE devices SET overhead = 8, used_memory = used_memory + 8 WHERE id = 'd1';
