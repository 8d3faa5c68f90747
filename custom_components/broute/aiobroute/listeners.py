"""Who listens before anybody does."""


def nobody(_: object) -> None:
    """Take what nobody listens to."""
