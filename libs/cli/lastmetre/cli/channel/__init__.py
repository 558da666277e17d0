"""`lastmetre channel`: partners who write their reports in their own form."""
