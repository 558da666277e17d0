-- Notes whose words have been handed to intake's vault: until it is seen whether they stand on a
-- case. The words of those that do not are erased there. `asked_at` is real time.
CREATE TABLE undecided_note (
    note_id  uuid        PRIMARY KEY,
    asked_at timestamptz NOT NULL
);
