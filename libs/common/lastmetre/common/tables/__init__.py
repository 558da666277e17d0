"""Tables that people hand in, CSV and XLSX, read strictly; and CSV that people open."""
