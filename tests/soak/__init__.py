"""Days of random trouble in simulated time, with the whole integration in the middle of it."""
