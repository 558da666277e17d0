-- Cases of which the log has one half of a merge or a split, as adopted: looked at once all is read.
CREATE TABLE unfinished_merge (case_id uuid PRIMARY KEY);
