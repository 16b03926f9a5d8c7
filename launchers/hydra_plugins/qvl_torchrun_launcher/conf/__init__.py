"""Choices of the group hydra/launcher; a file of the same name in an app's own folder comes first."""
