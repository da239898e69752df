"""Words that are no verb or option of genvx, or stand at the wrong verb, and what is answered."""
