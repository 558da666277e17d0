-- What a case was said to be up to the event `until_seq`, which corrected it: a message says what it said.
CREATE TABLE former_category (
    case_id   uuid NOT NULL,
    until_seq int  NOT NULL,
    category  text NOT NULL,
    PRIMARY KEY (case_id, until_seq)
);
