"""A package, so that tests find their shared fakes here and not in another distribution's ``tests``."""
