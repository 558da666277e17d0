"""Texts with labels that people gave them, and how often the platform agrees."""
