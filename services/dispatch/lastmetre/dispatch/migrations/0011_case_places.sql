-- Cases by the cell of a thousandth of a degree that they lie in: what is near is found by it.
CREATE INDEX case_by_place ON "case"
    ((floor(latitude * 1000)::int), (floor(longitude * 1000)::int)) WHERE latitude IS NOT NULL;
