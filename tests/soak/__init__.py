"""Days of random trouble in simulated time, with the whole integration in the middle of it."""

from tests import newer  # noqa: F401  # whatever process a part of it runs in
