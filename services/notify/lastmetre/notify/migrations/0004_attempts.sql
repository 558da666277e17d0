-- False: the topic tells of an attempt whose end nobody knows. The message ends as unknown, which is
-- told when it is asked for.
ALTER TABLE adopted_delivery ADD COLUMN told boolean NOT NULL DEFAULT true;
