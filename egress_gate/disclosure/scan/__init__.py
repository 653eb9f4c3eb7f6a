"""Values of the data in a text: what its words and numbers can stand for, and how surprising it is that they do. Pure."""
