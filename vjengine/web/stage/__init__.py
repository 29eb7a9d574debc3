"""The performer's page: everything of the show on a phone or tablet beside the deck."""
