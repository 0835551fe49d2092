"""Actions: what is done to a user's files, so that nothing is lost and all but deleting can be undone."""
