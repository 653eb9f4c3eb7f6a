"""The adversary: it runs inside a sandbox with the analyst's own rights and tries the ways out.

Stand-alone on purpose (standard library and raw system calls only), so that the same folder runs in any container for
comparison, and anyone may read all of what was tried.
"""
