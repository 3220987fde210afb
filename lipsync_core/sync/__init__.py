"""Do these lips belong to this speech, and at which offset? The sync expert."""
