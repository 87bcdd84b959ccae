"""Answers from the desk's articles, and when to fetch a human instead.

`article` the noun · `words` text to features · `index` the vector space · `knowledge` the search ·
`decide` sure, unsure or none, and the thresholds (pure) · `dialogue` what happens around an answer (pure) ·
`unanswered` the work list (pure) · `bench` the figures · `curve` how confidence was fitted.

Decisions
- In-process index, no service and no shipped model (2026-11): an article is the sum of its question variants (a
  centroid) plus its nearest variant. On BANKING77 with five questions an article that beats nearest-neighbour
  TF-IDF by 9 points. Price: the index lives in every process (about 15 kB an article) and is built at the first
  query; each language's lemma table takes 20-50 MB from then on. SQLite's FTS5 would share the index, but its
  BM25 has no scale on which "I don't know" can be told.
- What the index has never seen counts as length of the query: an off-topic question is mostly such words, so its
  score falls. This halves the off-topic questions that are answered (CLINC150).
- Confidence is one logistic curve over score and margin, fitted on public data (`bench`); the bands on it are set
  by `calibrate` from the desk's own labelled questions.
"""
