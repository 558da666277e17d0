"""The pages of dispatch: the lead's worklist and the command centre."""
