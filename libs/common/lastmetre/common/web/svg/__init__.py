"""Maps and charts as SVG drawn by the server: pure functions, styled by the kit alone."""
