-- How far from its position the place of a case may be, in metres, as its report said.
ALTER TABLE "case" ADD COLUMN reported_accuracy_metres float8;
