"""The pages' kit: templates, look, languages, drawings; who may call what; how errors answer."""
