"""Starting, stopping and looking at the workbench's processes."""
