-- How far from its position the place of a case may be, in metres, where somebody set it by hand.
ALTER TABLE "case" ADD COLUMN accuracy_metres float8;
