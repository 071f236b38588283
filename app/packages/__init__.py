"""Packages of npm and PyPI: found, described, allowed, verified, pinned and installed."""
