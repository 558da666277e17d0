-- Who has registered the screen on a wall whose sign-in this is.
ALTER TABLE staff_session ADD COLUMN registered_by text;
