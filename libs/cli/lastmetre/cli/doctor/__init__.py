"""`lastmetre doctor`: what is not as it has to be, what that means, and what to do about it."""
