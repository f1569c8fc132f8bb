"""The kinds of request inside a batchUpdate: one function each, `(book, body) → reply`. Refusals are RequestRefused."""
