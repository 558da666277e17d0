-- The few that a provider did not take: what is asked for behind one of these has to wait for it.
CREATE INDEX message_waiting_put_off ON message_waiting (case_id) WHERE error IS NOT NULL;
